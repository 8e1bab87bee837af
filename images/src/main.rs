//! `pack-image`: see the library.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use metallb_images::Image;

/// Packs static programs into an OCI archive, without a container builder.
///
/// Example: pack-image --name localhost/metallb-dataplane:dev --output dataplane.tar \
///     target/release/metallb-controller=/controller target/release/metallb-speaker=/speaker
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Full name of the image, with its tag
    #[arg(long)]
    name: String,
    /// The archive to write
    #[arg(long, short)]
    output: PathBuf,
    /// User that the image runs as, unless the pod says otherwise
    #[arg(long, default_value = "65534:65534")]
    user: String,
    /// FILE=/PATH-IN-IMAGE; the first is the entry point. A directory is packed with all that is in it, and started never
    #[arg(required = true)]
    programs: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let program = |text: &String| {
        let (file, inside) =
            text.split_once('=').with_context(|| format!("{text:?} is not FILE=/PATH-IN-IMAGE"))?;
        Ok((PathBuf::from(file), inside.to_owned()))
    };
    let all = args.programs.iter().map(program).collect::<anyhow::Result<Vec<_>>>()?;
    let (files, programs) = all.into_iter().partition(|(path, _)| path.is_dir());
    let image = Image {
        name: args.name,
        programs,
        files,
        user: args.user,
        labels: vec![("org.opencontainers.image.licenses".to_owned(), env!("CARGO_PKG_LICENSE").to_owned())],
    };
    image.pack(&args.output)?;
    println!("{} -> {}", image.name, args.output.display());
    Ok(())
}
