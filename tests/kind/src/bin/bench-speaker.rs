//! `make bench`: BGP and BFD of one speaker among four routers, beside what FRR, BIRD and GoBGP do in its place.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use metallb_lab::routers::Make;
use metallb_scenarios::figures::Format;
use metallb_scenarios::speaker::paths::Paths;
use metallb_scenarios::speaker::routes;
use metallb_scenarios::speaker::site::Site;
use serde_json::{Value, json};

/// Prefixes that other programs announce for comparison, and that the speaker announces while BFD is measured.
const COMPARED: usize = 1_000;

/// Measures BGP and BFD of one speaker on a node with four routers. Needs root, and the routers' packages
/// (`lab tools --install`).
///
/// Times are those of the kernel for packets on the node's interfaces. The figures have been taken by a machine that also
/// runs the API server and the routers: compare them with what FRR, BIRD and GoBGP took in the same run, and mind the
/// load that is printed with them.
///
/// Targets: from an event's arrival to the UPDATE, median under 1 ms and p99 under 10 ms; 1,000 equal prefixes in under 10
/// UPDATEs to each of four routers within a second after the sessions are up; under 15 MB with four routers, BFD and 1,000
/// prefixes; a router silent at 3 × 50 ms noticed within 200 ms of its last packet; no false alarm under load.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The speaker's program
    #[arg(long)]
    speaker: PathBuf,
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "routes,baseline,memory,silence,load")]
    parts: Vec<Part>,
    /// Prefixes present while routes are measured; several numbers make several rounds, each with an API server of its own
    #[arg(long, value_delimiter = ',', default_value = "10,1000,10000")]
    prefixes: Vec<usize>,
    /// How often one more prefix is announced and withdrawn in each of these rounds; with less than 100 p99 is the worst
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// How often routers and speaker are silenced
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// How long the machine is kept busy while BFD is on; also fractions
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How the figures are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Append the speaker's log to this file, at debug level; without it the speaker logs nothing
    #[arg(long)]
    speaker_log: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Part {
    /// An endpoint becomes ready: how soon is it told? And a start, and sessions that come back
    Routes,
    /// FRR, BIRD and GoBGP in the speaker's place, with 1,000 prefixes
    Baseline,
    /// Memory with four routers, BFD and 1,000 prefixes
    Memory,
    /// How soon a silent router is noticed by the speaker, and a silent speaker by FRR and BIRD
    Silence,
    /// False alarms of BFD while the machine is busy
    Load,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    anyhow::ensure!(args.samples > 0 && args.rounds > 0, "--samples and --rounds begin at 1");
    let minutes = Duration::try_from_secs_f64(args.minutes * 60.0).context("--minutes is no time")?;
    let parts: BTreeSet<Part> = args.parts.iter().copied().collect();
    let log = args.speaker_log.as_deref();
    let site = Site::new()?;
    let mut report = json!({ "load_average_before": load_average()? });
    if parts.contains(&Part::Routes) {
        let mut rounds = Vec::new();
        for count in &args.prefixes {
            rounds.push(routes::of_speaker(&site, &args.speaker, *count, args.samples, log).await?);
        }
        report["routes"] = Value::from(rounds);
    }
    if parts.contains(&Part::Baseline) {
        let mut makes = Vec::new();
        for make in Make::ALL {
            makes.push(routes::of_router(&site, make, COMPARED).await?);
        }
        report["baseline"] = Value::from(makes);
    }
    if [Part::Memory, Part::Silence, Part::Load].iter().any(|part| parts.contains(part)) {
        let paths = Paths::start(&site, &args.speaker, COMPARED, log).await?;
        if parts.contains(&Part::Memory) {
            report["memory"] = paths.memory().await?;
        }
        if parts.contains(&Part::Silence) {
            report["silence"] = paths.silence(args.rounds).await?;
        }
        if parts.contains(&Part::Load) {
            report["load"] = paths.load(minutes).await?;
        }
    }
    report["load_average_after"] = load_average()?;
    match args.output {
        Format::Json => println!("{report:#}"),
        Format::Text => tell(&report),
    }
    Ok(())
}

/// How busy the machine is, in the last minute.
fn load_average() -> anyhow::Result<Value> {
    let text = std::fs::read_to_string("/proc/loadavg").context("how busy is the machine?")?;
    Ok(json!(text.split_whitespace().next().and_then(|first| first.parse::<f64>().ok())))
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn tell(report: &Value) {
    println!("load average {} before, {} after", report["load_average_before"], report["load_average_after"]);
    for round in each(&report["routes"]) {
        println!("\nspeaker, {} prefixes, {} routers", round["prefixes"], round["peers"]);
        line(&round["start_to_all_told_ms"], "ms from the start of the process until all routers know all");
        line(&round["up_to_all_told_ms"], "ms from the sessions' return until all routers know all");
        line(&round["updates_per_peer"], "UPDATEs to each router for that");
        line(&round["start_updates_per_peer"], "UPDATEs to each router at the start");
        line(&round["pss_kib"], "KiB (PSS) without BFD");
        for (what, name) in [("announce", "announced"), ("withdraw", "withdrawn")] {
            for (from, words) in [
                ("event_to_first_update", "event on the node → UPDATE to the first router"),
                ("event_to_last_update", "event on the node → UPDATE to the last router"),
                ("write_sent_to_last_update", "write sent to the API server → UPDATE to the last router"),
                (
                    "write_answered_to_last_update",
                    "write answered by the API server → UPDATE to the last router",
                ),
            ] {
                distribution(&round[what][from], &format!("{name}: {words}"));
            }
        }
    }
    let ours = each(&report["routes"]).find(|round| round["prefixes"] == COMPARED);
    for make in each(&report["baseline"]) {
        println!(
            "\n{} in the speaker's place, {} prefixes",
            make["make"].as_str().unwrap_or_default(),
            make["prefixes"]
        );
        for (name, words) in [
            ("up_to_all_told_ms", "ms from the sessions' beginning until all routers know all"),
            ("updates_per_peer", "UPDATEs to each router for that"),
            ("pss_kib", "KiB (PSS) of all its processes"),
        ] {
            let ratio = ours.and_then(|ours| Some(ours[name].as_f64()? / make[name].as_f64()?));
            let ratio = ratio.map(|ratio| format!("; the speaker: {ratio:.2} times that"));
            line(&make[name], &format!("{words}{}", ratio.unwrap_or_default()));
        }
    }
    if let Some(memory) = report.get("memory") {
        println!("\nspeaker, {} prefixes, {} routers with BFD", memory["prefixes"], memory["peers"]);
        line(&memory["pss_kib"], "KiB (PSS)");
    }
    for path in each(&report["silence"]) {
        told_of(path);
        distribution(&path["speaker_notices_router"], "the speaker notices that the router is silent");
        distribution(&path["router_notices_speaker"], "the router notices that the speaker is silent");
    }
    if let Some(load) = report.get("load") {
        println!("\n{} busy processes for {} s", load["busy_processes"], load["seconds"]);
        for path in each(&load["paths"]) {
            told_of(path);
            line(&path["alarms_of_speaker"], "false alarms of the speaker");
            line(&path["alarms_of_router"], "false alarms of the router");
            line(
                &path["longest_silence_of_speaker_ms"],
                "ms: the longest time between two packets of the speaker",
            );
            line(
                &path["longest_silence_of_router_ms"],
                "ms: the longest time between two packets of the router",
            );
        }
    }
}

fn told_of(path: &Value) {
    let router = path["router"].as_str().unwrap_or_default();
    println!("\nBFD with {router}, {} × {} ms", path["multiplier"], path["interval_ms"]);
}

fn line(value: &Value, words: &str) {
    println!("  {:>10} {words}", value.to_string());
}

fn distribution(figures: &Value, words: &str) {
    println!(
        "  {:>10} ms median {:>10} ms p99 {:>10} ms worst of {}: {words}",
        figures["median_ms"].to_string(),
        figures["p99_ms"].to_string(),
        figures["worst_ms"].to_string(),
        figures["n"],
    );
}
