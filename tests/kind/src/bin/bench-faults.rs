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
    /// Connections that the client opens each second; if not said 200, and 1,000 for what an administrator does on purpose
    #[arg(long)]
    rate: Option<u32>,
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
    let mut figures = BTreeMap::new();
    for fault in Fault::ALL.into_iter().filter(chosen) {
        let load = args.load(fault.is_planned());
        let mut of_it = Vec::new();
        for run in 0..args.runs {
            let address = trials.addresses[run % 2];
            let Trial { struck, unanswered, healed, .. } = trials.run(fault, address, load).await?;
            let seen = Run { struck, unanswered: Some(unanswered), healed };
            eprintln!("{} {}/{}: {address} {}", fault.name(), run + 1, args.runs, seen.told());
            of_it.push(seen);
        }
        figures.insert(fault.name(), Figures::of(load.rate, &of_it));
    }
    if args.fault.is_empty() || args.fault.iter().any(|part| SECOND_LAN.contains(part)) {
        let second = SecondLan::lay(&cluster, &metallb).await?;
        let load = args.load(false);
        let mut of_it = Vec::new();
        for run in 0..args.runs {
            let [struck, healed] = second.strike(load).await?;
            let seen = Run { struck, unanswered: None, healed };
            eprintln!("{SECOND_LAN} {}/{}: {}", run + 1, args.runs, seen.told());
            of_it.push(seen);
        }
        figures.insert(SECOND_LAN, Figures::of(load.rate, &of_it));
    }
    match args.output {
        Format::Json => {
            let figures: BTreeMap<_, _> = figures.iter().map(|(name, of_it)| (name, of_it.json())).collect();
            println!("{:#}", json!({ "runs": args.runs, "faults": figures }));
        }
        Format::Text => print_table(&figures),
    }
    Ok(())
}

impl Args {
    fn load(&self, is_planned: bool) -> Load {
        let rate = self.rate.unwrap_or(if is_planned { 1000 } else { 200 });
        Load { rate, long_lived: self.long_lived }
    }
}

/// What was noticed of one fault.
struct Run {
    struck: Noticed,
    /// The longest time for which who asked on the LAN had no answer, where somebody asked.
    unanswered: Option<Duration>,
    healed: Noticed,
}

impl Run {
    fn told(&self) -> String {
        let Self { struck, unanswered, healed } = self;
        let on_the_lan =
            unanswered.map(|time| format!(" (on the LAN for {} ms)", time.as_millis())).unwrap_or_default();
        format!(
            "no answer for {} ms{on_the_lan}, {} of {} failed {:?}, {} of {} open connections broke; when put right no answer for \
             {} ms, {} of {} failed, {} of {} open connections broke",
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
}

/// What came of one fault, in all its runs.
struct Figures {
    rate: u32,
    struck: Sum,
    healed: Sum,
    /// In order.
    unanswered: Vec<Duration>,
}

/// The longest time between answers of each run, in order; the rest of all runs.
struct Sum {
    gaps: Vec<Duration>,
    asked: usize,
    failed: usize,
    open: usize,
    broken: usize,
}

impl Sum {
    fn of(all: &[&Noticed]) -> Self {
        let sum = |part: fn(&Noticed) -> usize| all.iter().map(|noticed| part(noticed)).sum();
        Self {
            gaps: sorted(all.iter().map(|noticed| noticed.longest_gap)),
            asked: sum(|noticed| noticed.answered + noticed.failed),
            failed: sum(|noticed| noticed.failed),
            open: sum(|noticed| noticed.kept + noticed.broken),
            broken: sum(|noticed| noticed.broken),
        }
    }

    fn json(&self) -> Value {
        json!({
            "longest_gap_ms": millis(&self.gaps),
            "requests": self.asked,
            "failed": self.failed,
            "open_connections": self.open,
            "broken": self.broken,
        })
    }

    fn row(&self) -> String {
        format!(
            "{:6} {:6} {:6} {:>11} {:>8}",
            at(&self.gaps, 50),
            at(&self.gaps, 99),
            at(&self.gaps, 100),
            format!("{}/{}", self.failed, self.asked),
            format!("{}/{}", self.broken, self.open),
        )
    }
}

impl Figures {
    fn of(rate: u32, runs: &[Run]) -> Self {
        Self {
            rate,
            struck: Sum::of(&runs.iter().map(|run| &run.struck).collect::<Vec<_>>()),
            healed: Sum::of(&runs.iter().map(|run| &run.healed).collect::<Vec<_>>()),
            unanswered: sorted(runs.iter().filter_map(|run| run.unanswered)),
        }
    }

    fn json(&self) -> Value {
        json!({
            "rate": self.rate,
            "struck": self.struck.json(),
            "put_right": self.healed.json(),
            "longest_without_answer_on_the_lan_ms": millis(&self.unanswered),
        })
    }
}

fn sorted(times: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times
}

fn millis(times: &[Duration]) -> Vec<u128> {
    times.iter().map(Duration::as_millis).collect()
}

/// In ms, the one that so many in a hundred are no longer than.
fn at(sorted: &[Duration], share: usize) -> String {
    let index = (sorted.len() * share / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or("-".to_owned(), |time| time.as_millis().to_string())
}

fn print_table(figures: &BTreeMap<&str, Figures>) {
    let columns = "median    p99    max      failed   broken";
    println!(
        "{:31} {:>4}   {:41}   {:11}   put right",
        "longest time without (ms)", "rate", "an answer", "one by LAN"
    );
    println!("{:31} {:>4}   {columns}   {:>5} {:>5}   {columns}", "", "", "p50", "max");
    for (name, Figures { rate, struck, healed, unanswered }) in figures {
        let (half, all) = (at(unanswered, 50), at(unanswered, 100));
        println!("{name:31} {rate:4}   {}   {half:>5} {all:>5}   {}", struck.row(), healed.row());
    }
}
