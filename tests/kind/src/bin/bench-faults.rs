//! `make bench`: what a client notices of each fault on layer 2, as a distribution over many runs on one cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Parser;
use metallb_lab::Cluster;
use metallb_scenarios::fault::Fault;
use metallb_scenarios::figures::Format;
use metallb_scenarios::installation::{Installation, options};
use metallb_scenarios::outage::{Load, Noticed};
use metallb_scenarios::second_lan::SecondLan;
use metallb_scenarios::trial::{Trial, Trials};
use serde_json::{Value, json};

/// The fault that is none of a whole node.
const SECOND_LAN: &str = "dead cable in a second network";

/// Strikes the node that announces an address, again and again, while a client asks for it.
///
/// IPv4 and IPv6 take turns. Progress goes to standard error.
#[derive(Parser)]
struct Args {
    /// How often each fault happens
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Only faults whose name contains this; may be given several times
    #[arg(long)]
    fault: Vec<String>,
    /// Connections that the client opens each second
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// Connections that it keeps open
    #[arg(long, default_value_t = 5)]
    long_lived: usize,
    /// Seconds that a silent speaker has to come back
    #[arg(long, default_value_t = 3)]
    grace: u16,
    /// Addresses stay with the node that has them; connections are kept open also while a node comes back
    #[arg(long)]
    sticky: bool,
    /// How the figures are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let chosen =
        |fault: &Fault| args.fault.is_empty() || args.fault.iter().any(|part| fault.name().contains(part));
    let cluster = Cluster::up(options("bench-faults")?).await?;
    let metallb = Installation::prepare(&cluster).await?;
    let mut trials = Trials::prepare(&cluster, &metallb, args.grace).await?;
    if args.sticky {
        trials.keep_owners().await?;
    }
    let load = Load { rate: args.rate, long_lived: args.long_lived };
    let mut figures = BTreeMap::new();
    for fault in Fault::ALL.into_iter().filter(chosen) {
        let mut of_it = Vec::new();
        for run in 0..args.runs {
            let address = trials.addresses[run % 2];
            let Trial { struck, healed, .. } = trials.run(fault, address, load).await?;
            let noticed = [struck, healed];
            eprintln!("{} {}/{}: {address} {}", fault.name(), run + 1, args.runs, line(&noticed));
            of_it.push(noticed);
        }
        figures.insert(fault.name(), Figures::of(&of_it));
    }
    if args.fault.is_empty() || args.fault.iter().any(|part| SECOND_LAN.contains(part)) {
        let second = SecondLan::lay(&cluster, &metallb).await?;
        let mut of_it = Vec::new();
        for run in 0..args.runs {
            let noticed = second.strike(load).await?;
            eprintln!("{SECOND_LAN} {}/{}: {}", run + 1, args.runs, line(&noticed));
            of_it.push(noticed);
        }
        figures.insert(SECOND_LAN, Figures::of(&of_it));
    }
    match args.output {
        Format::Json => {
            let figures: BTreeMap<_, _> = figures.iter().map(|(name, of_it)| (name, of_it.json())).collect();
            println!("{:#}", json!({ "runs": args.runs, "rate": args.rate, "faults": figures }));
        }
        Format::Text => print_table(&figures),
    }
    Ok(())
}

fn line([struck, healed]: &[Noticed; 2]) -> String {
    format!(
        "no answer for {} ms, {} of {} failed {:?}, {} of {} open connections broke; when put right no answer for {} ms, \
         {} of {} failed, {} of {} open connections broke",
        struck.longest_gap.as_millis(),
        struck.failed,
        struck.failed + struck.answered,
        struck.reasons,
        struck.broken,
        struck.broken + struck.kept,
        healed.longest_gap.as_millis(),
        healed.failed,
        healed.failed + healed.answered,
        healed.broken,
        healed.broken + healed.kept,
    )
}

/// What came of one fault.
struct Figures {
    /// The longest times between answers, in order: after the fault, and while it was put right.
    gaps: Vec<Duration>,
    healed_gaps: Vec<Duration>,
    asked: usize,
    failed: usize,
    open: usize,
    broken: usize,
    failed_when_healed: usize,
    broken_when_healed: usize,
}

impl Figures {
    fn of(all: &[[Noticed; 2]]) -> Self {
        let gaps = |of: fn(&[Noticed; 2]) -> &Noticed| {
            let mut gaps: Vec<_> = all.iter().map(|both| of(both).longest_gap).collect();
            gaps.sort();
            gaps
        };
        let sum = |part: fn(&Noticed) -> usize| all.iter().map(|[struck, _]| part(struck)).sum();
        Self {
            gaps: gaps(|[struck, _]| struck),
            healed_gaps: gaps(|[_, healed]| healed),
            asked: sum(|struck| struck.answered + struck.failed),
            failed: sum(|struck| struck.failed),
            open: sum(|struck| struck.kept + struck.broken),
            broken: sum(|struck| struck.broken),
            failed_when_healed: all.iter().map(|[_, healed]| healed.failed).sum(),
            broken_when_healed: all.iter().map(|[_, healed]| healed.broken).sum(),
        }
    }

    fn json(&self) -> Value {
        let millis = |all: &[Duration]| all.iter().map(Duration::as_millis).collect::<Vec<_>>();
        json!({
            "longest_gap_ms": millis(&self.gaps),
            "longest_gap_when_put_right_ms": millis(&self.healed_gaps),
            "requests": self.asked,
            "failed": self.failed,
            "open_connections": self.open,
            "broken": self.broken,
            "failed_when_put_right": self.failed_when_healed,
            "broken_when_put_right": self.broken_when_healed,
        })
    }
}

fn print_table(figures: &BTreeMap<&str, Figures>) {
    let at = |sorted: &[Duration], share: usize| {
        let index = (sorted.len() * share / 100).min(sorted.len().saturating_sub(1));
        sorted.get(index).map_or(0, Duration::as_millis)
    };
    println!(
        "longest time without an answer (ms)   median    p99    max   failed requests   broken connections   when put right: median    max"
    );
    for (name, of_it) in figures {
        println!(
            "{name:<35} {:8} {:6} {:6} {:>17} {:>20} {:>24} {:6}",
            at(&of_it.gaps, 50),
            at(&of_it.gaps, 99),
            at(&of_it.gaps, 100),
            format!("{}/{}", of_it.failed, of_it.asked),
            format!("{}/{}", of_it.broken, of_it.open),
            at(&of_it.healed_gaps, 50),
            at(&of_it.healed_gaps, 100),
        );
    }
}
