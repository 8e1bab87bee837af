//! BFD: how fast a lost path is noticed at both ends, whether load raises false alarms, and what the speaker needs for four
//! routers with it. FRR and BIRD are at the other end, each once with 3 × 50 ms and once with 3 × 300 ms.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, Result};
use metallb_lab::eventually;
use metallb_lab::routers::{Bfd, BgpState, Config, Family, Make, Neighbour, Remote, Router};
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use super::figures::{Figures, millis};
use super::process::Speaker;
use super::sighting::{BfdState, Ends, What};
use super::site::{NODE, NODE_AS, Passage, ROUTER_AS, ROUTERS, Site};
use super::tap::{Sighting, Tap};
use super::world::{Announced, World};

/// Who made the routers, in the order of [`ROUTERS`].
const MAKES: [Make; 4] = [Make::Frr, Make::Bird, Make::Frr, Make::Bird];
/// How they speak BFD: milliseconds, three of which may pass.
const INTERVALS: [u32; 4] = [50, 50, 300, 300];
const MULTIPLIER: u8 = 3;
/// Nothing that is waited for here takes this long.
const PATIENCE: Duration = Duration::from_mins(3);
/// How often progress is told.
const PROGRESS: Duration = Duration::from_mins(1);

/// A speaker that has told its prefixes to four routers, and is watched by them with BFD.
pub struct Paths<'s> {
    routers: Vec<Router>,
    speaker: Speaker,
    tap: Tap,
    prefixes: usize,
    _passage: Passage,
    _world: World,
    _site: &'s Site,
}

impl<'s> Paths<'s> {
    /// Starts it all with that many prefixes.
    pub async fn start(site: &'s Site, program: &Path, prefixes: usize, log: Option<&Path>) -> Result<Self> {
        eprintln!("bench: BFD: preparing {prefixes} services and four routers");
        let world = World::with(prefixes, Announced::Bgp(Some(INTERVALS))).await?;
        let passage = Passage::open(&site.node, &world.url())?;
        let tap = Tap::start(&site.node, passage.port)?;
        let mut routers = Vec::new();
        for (((make, host), address), millis) in
            MAKES.into_iter().zip(&site.routers).zip(ROUTERS).zip(INTERVALS)
        {
            let bfd = Bfd::every(Duration::from_millis(millis.into()), MULTIPLIER);
            let neighbour = Neighbour::at(NODE.into(), Remote::As(NODE_AS)).families([Family::V4]).bfd(bfd);
            let neighbour = neighbour.timers(Duration::from_secs(30), Duration::from_secs(90));
            let config = Config::new(ROUTER_AS, address).neighbour(neighbour);
            routers.push(Router::start(make, host, config).await?);
        }
        let speaker = Speaker::start(program, &site.node, &world, log)?;
        let paths = Self { routers, speaker, tap, prefixes, _passage: passage, _world: world, _site: site };
        paths.until_whole().await;
        Ok(paths)
    }

    /// What the speaker needs in that state, in KiB.
    pub async fn memory(&self) -> Result<Value> {
        self.idle().await;
        Ok(json!({
            "prefixes": self.prefixes,
            "peers": self.routers.len(),
            "bfd_sessions": self.routers.len(),
            "pss_kib": self.speaker.pss()?,
        }))
    }

    /// Silences all routers at once, and then the speaker, `rounds` times each. Times are from the last BFD packet of who
    /// was silenced to the first packet that shows that the other end knows: BFD's, or BGP's farewell.
    pub async fn silence(&self, rounds: usize) -> Result<Value> {
        let (mut ours, mut theirs) = (vec![Vec::new(); 4], vec![Vec::new(); 4]);
        for round in 1..=rounds {
            eprintln!("bench: BFD: silence, round {round} of {rounds}");
            let routers = |router| Ends { from: router, to: NODE };
            let mark = self.heard(routers).await;
            self.routers.iter().for_each(Router::freeze);
            let noticed = self.noticed(mark, routers).await;
            self.routers.iter().for_each(Router::thaw);
            ours.iter_mut().zip(noticed).for_each(|(all, one)| all.push(one));
            self.until_whole().await;

            let speaker = |router| Ends { from: NODE, to: router };
            let mark = self.heard(speaker).await;
            self.speaker.freeze()?;
            let noticed = self.noticed(mark, speaker).await;
            self.speaker.thaw()?;
            theirs.iter_mut().zip(noticed).for_each(|(all, one)| all.push(one));
            self.until_whole().await;
        }
        let each = self.routers.iter().zip(INTERVALS).zip(ours).zip(theirs);
        let each = each.map(|(((router, interval), ours), theirs)| {
            json!({
                "router": router.make().to_string(),
                "interval_ms": interval,
                "multiplier": MULTIPLIER,
                "speaker_notices_router": Figures::of(ours).to_json(),
                "router_notices_speaker": Figures::of(theirs).to_json(),
            })
        });
        Ok(each.collect())
    }

    async fn idle(&self) {
        const QUIET: Duration = Duration::from_secs(1);
        let idle = "the speaker has nothing left to do";
        eventually(PATIENCE, idle, async || self.tap.quiet(What::Api, QUIET)).await;
    }

    /// A mark after which everybody who is about to be silenced has been heard: the last packet before the silence is
    /// what the silence is counted from.
    async fn heard(&self, silenced: impl Fn(Ipv4Addr) -> Ends) -> usize {
        let mark = self.tap.mark();
        eventually(PATIENCE, "everybody is heard once more", async || {
            let seen = self.tap.since(mark);
            ROUTERS.iter().all(|router| bfd(&seen, silenced(*router)).next().is_some())
        })
        .await;
        mark
    }

    /// Waits until the other end of every path has noticed that this one is silent, and says how long that took each.
    async fn noticed(&self, mark: usize, silenced: impl Fn(Ipv4Addr) -> Ends) -> Vec<Duration> {
        eventually(PATIENCE, "everybody notices the silence", async || {
            let seen = self.tap.since(mark);
            let each = ROUTERS.iter().map(|router| silence(&seen, silenced(*router)));
            each.collect::<Option<Vec<_>>>()
        })
        .await
    }

    /// Waits until every session of BGP and BFD is up, and every router knows every prefix.
    async fn until_whole(&self) {
        let prefixes = u64::try_from(self.prefixes).unwrap_or(u64::MAX);
        for router in &self.routers {
            eventually(PATIENCE, "a router has its session and all prefixes", async || {
                let known = router.neighbour(NODE).await.map_err(|error| format!("{error:#}"))?;
                let known = known.ok_or_else(|| "it knows no such neighbour".to_owned())?;
                let whole = known.state == BgpState::Established
                    && known.prefixes.get(&Family::V4) == Some(&prefixes);
                if whole { Ok(()) } else { Err(format!("{:?} {:?}", known.state, known.prefixes)) }
            })
            .await;
        }
        let mark = self.tap.mark();
        eventually(PATIENCE, "BFD is up on all paths", async || {
            let seen = self.tap.since(mark);
            let is_up = |ends: Ends| {
                let last = bfd(&seen, ends).last();
                last.is_some_and(|(_, state, _)| state == BfdState::Up)
            };
            ROUTERS.iter().all(|router| {
                is_up(Ends { from: NODE, to: *router }) && is_up(Ends { from: *router, to: NODE })
            })
        })
        .await;
    }

    /// Keeps twice as many processes busy as there are processors, and counts who takes whom for dead in that time.
    pub async fn load(&self, long: Duration) -> Result<Value> {
        let busy = 2 * available_parallelism().context("how many processors are there?")?.get();
        eprintln!("bench: BFD: {busy} busy processes for {} s", long.as_secs());
        let _busy = (0..busy).map(|_| Busy::start()).collect::<Result<Vec<_>>>()?;
        let mark = self.tap.mark();
        let end = Instant::now() + long;
        let mut told = interval(PROGRESS);
        told.tick().await;
        while let Ok(_tick) = tokio::time::timeout_at(end, told.tick()).await {
            let alarms: usize =
                ROUTERS.iter().map(|router| self.alarms(mark, *router).iter().sum::<usize>()).sum();
            eprintln!("bench: BFD: {} s to go, {alarms} alarms", (end - Instant::now()).as_secs());
        }
        let seen = self.tap.since(mark);
        let each = self.routers.iter().zip(INTERVALS).zip(ROUTERS).map(|((router, interval), address)| {
            let [ours, theirs] = self.alarms(mark, address);
            json!({
                "router": router.make().to_string(),
                "interval_ms": interval,
                "multiplier": MULTIPLIER,
                "alarms_of_speaker": ours,
                "alarms_of_router": theirs,
                "longest_silence_of_speaker_ms": millis(longest(&seen, Ends { from: NODE, to: address })),
                "longest_silence_of_router_ms": millis(longest(&seen, Ends { from: address, to: NODE })),
            })
        });
        Ok(json!({
            "busy_processes": busy,
            "seconds": long.as_secs(),
            "paths": each.collect::<Value>(),
        }))
    }

    /// How often the speaker took that router for dead, and the router the speaker.
    fn alarms(&self, mark: usize, router: Ipv4Addr) -> [usize; 2] {
        let seen = self.tap.since(mark);
        [Ends { from: NODE, to: router }, Ends { from: router, to: NODE }].map(|ends| alarms(&seen, ends))
    }
}

/// The BFD packets between two ends: when, which state, and whether the sender says that it heard nothing.
fn bfd(seen: &[Sighting], ends: Ends) -> impl Iterator<Item = (Duration, BfdState, bool)> {
    seen.iter().filter(move |seen| seen.ends == ends).filter_map(|seen| match seen.what {
        What::Bfd { state, timed_out } => Some((seen.at, state, timed_out)),
        What::Api | What::Update | What::Farewell | What::Arp(_) => None,
    })
}

/// How long after the last packet of who was `silenced` the other end showed that it knew; `None` if it has not yet.
fn silence(seen: &[Sighting], silenced: Ends) -> Option<Duration> {
    let other = Ends { from: silenced.to, to: silenced.from };
    let noticed = seen.iter().find(|seen| {
        let knows = match seen.what {
            What::Bfd { state, .. } => state != BfdState::Up,
            What::Farewell => true,
            What::Api | What::Update | What::Arp(_) => false,
        };
        seen.ends == other && knows
    })?;
    let before = bfd(seen, silenced).filter(|(at, ..)| *at < noticed.at);
    Some(noticed.at.saturating_sub(before.last()?.0))
}

/// How often the sender, having been up, says that it heard nothing.
fn alarms(seen: &[Sighting], ends: Ends) -> usize {
    let states: Vec<_> = bfd(seen, ends).collect();
    let falls = states.iter().zip(states.iter().skip(1));
    falls
        .filter(|((_, before, _), (_, after, timed_out))| {
            *before == BfdState::Up && *after == BfdState::Down && *timed_out
        })
        .count()
}

/// The longest time between two packets.
fn longest(seen: &[Sighting], ends: Ends) -> Duration {
    let times: Vec<_> = bfd(seen, ends).map(|(at, ..)| at).collect();
    let gaps = times.iter().zip(times.iter().skip(1)).map(|(one, next)| next.saturating_sub(*one));
    gaps.max().unwrap_or_default()
}

/// A process that never rests. It is killed when dropped.
struct Busy(Child);

impl Busy {
    fn start() -> Result<Self> {
        let loops = Command::new("setpriv")
            .args(["--pdeathsig=KILL", "--", "sh", "-c", "while :; do :; done"])
            .spawn();
        loops.map(Self).context("start a busy process")
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: Ipv4Addr = ROUTERS[0];
    const OURS: Ends = Ends { from: NODE, to: ROUTER };
    const THEIRS: Ends = Ends { from: ROUTER, to: NODE };

    fn at(millis: u64, ends: Ends, what: What) -> Sighting {
        Sighting { at: Duration::from_millis(millis), ends, what }
    }

    const UP: What = What::Bfd { state: BfdState::Up, timed_out: false };
    const HEARD_NOTHING: What = What::Bfd { state: BfdState::Down, timed_out: true };
    const TOLD_SO: What = What::Bfd { state: BfdState::Down, timed_out: false };

    #[test]
    fn a_silence_is_counted_from_the_last_packet_to_the_first_sign_that_it_was_noticed() {
        let mut seen = vec![at(0, THEIRS, UP), at(5, OURS, UP), at(50, THEIRS, UP), at(155, OURS, UP)];
        assert_eq!(silence(&seen, THEIRS), None, "nobody has noticed yet");
        seen.push(at(201, OURS, What::Farewell));
        seen.push(at(203, OURS, HEARD_NOTHING));
        assert_eq!(silence(&seen, THEIRS), Some(Duration::from_millis(151)));
    }

    #[test]
    fn who_is_told_that_the_path_is_down_has_raised_no_alarm() {
        let seen = [
            at(0, THEIRS, UP),
            at(0, OURS, UP),
            at(150, OURS, HEARD_NOTHING),
            at(151, THEIRS, TOLD_SO),
            at(1000, OURS, HEARD_NOTHING),
        ];
        assert_eq!(alarms(&seen, OURS), 1);
        assert_eq!(alarms(&seen, THEIRS), 0);
        assert_eq!(longest(&seen, OURS), Duration::from_millis(850));
    }
}
