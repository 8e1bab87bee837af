//! What pools keep back, as the ConfigMap that carries it over restarts: a key a pool, a line an address.
//!
//! ```text
//! data:
//!   lab: |
//!     192.0.2.7 shop/web reserved-until=2027-01-02T15:04:05Z
//!     192.0.2.9 shop/db quarantined-until=2027-01-02T10:00:00Z
//! ```
//!
//! It is read once, when a replica begins to work, and written from then on: what others write into it meanwhile is
//! lost. Not here: what is kept back, and for how long (`metallb_core::ipam::Reservations`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use metallb_core::ipam::{Reservation, Reservations};
use metallb_core::names::ServiceKey;

/// The ConfigMap.
pub const NAME: &str = "metallb-reservations";
/// Lines it holds at the most. A ConfigMap ends at 1 MiB, and a line is some 150 bytes; of more, those that end last
/// are kept.
const MOST: usize = 4096;

const RESERVED: &str = "reserved-until=";
const QUARANTINED: &str = "quarantined-until=";

/// The lines by pool.
pub type Lines = BTreeMap<String, String>;

/// An address, for whom, and until when.
pub type Kept = (IpAddr, ServiceKey, Reservation);

/// `reservations` as the data of the ConfigMap.
pub fn write(reservations: &Reservations) -> Lines {
    let mut all: Vec<_> = reservations.iter().collect();
    if all.len() > MOST {
        all.sort_by_key(|(.., reservation)| std::cmp::Reverse(reservation.until()));
        all.truncate(MOST);
        all.sort_by_key(|(address, service, _)| (*address, (*service).clone()));
    }
    let mut lines = Lines::new();
    for (address, service, reservation) in all {
        let text = lines.entry(reservation.pool.to_string()).or_default();
        let _ = write!(text, "{address} {service}");
        for (word, until) in
            [(RESERVED, reservation.reserved_until), (QUARANTINED, reservation.quarantined_until)]
        {
            if let Some(until) = (until > 0).then(|| Timestamp::from_second(until).ok()).flatten() {
                let _ = write!(text, " {word}{until}");
            }
        }
        text.push('\n');
    }
    lines
}

/// Is there no room in `lines` for more?
pub fn is_full(lines: &Lines) -> bool {
    lines.values().map(|text| text.lines().count()).sum::<usize>() >= MOST
}

/// What the ConfigMap says. A line that says nothing is left out, and the log says so.
pub fn read(object: &ConfigMap) -> Vec<Kept> {
    let mut kept = Vec::new();
    for (pool, text) in object.data.iter().flatten() {
        for line in text.lines() {
            let entry = read_line(pool, line);
            if entry.is_none() {
                tracing::warn!(event = "badReservation", pool, line, "left out");
            }
            kept.extend(entry);
        }
    }
    kept
}

fn read_line(pool: &str, line: &str) -> Option<Kept> {
    let mut words = line.split_ascii_whitespace();
    let address = words.next()?.parse().ok()?;
    let (namespace, name) = words.next()?.split_once('/')?;
    let mut reservation = Reservation { pool: pool.into(), reserved_until: 0, quarantined_until: 0 };
    for word in words {
        let moment = |text: &str| Some(text.parse::<Timestamp>().ok()?.as_second());
        if let Some(text) = word.strip_prefix(RESERVED) {
            reservation.reserved_until = moment(text)?;
        } else {
            reservation.quarantined_until = moment(word.strip_prefix(QUARANTINED)?)?;
        }
    }
    Some((address, ServiceKey::new(namespace, name), reservation))
}

#[cfg(test)]
mod tests {
    use metallb_core::ipam::Books;
    use serde_json::json;

    use super::*;

    fn config_map(lines: &Lines) -> ConfigMap {
        serde_json::from_value(json!({ "data": lines })).unwrap()
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut books = Books::default();
        for (address, name, reserved_until, quarantined_until) in [
            ("10.0.0.7", "web", 1_800_000_000, 0),
            ("10.0.0.7", "db", 0, 7),
            ("fd00::7", "web", 9, 1_700_000_000),
        ] {
            let reservation = Reservation { pool: "lab".into(), reserved_until, quarantined_until };
            books.reserve(address.parse().unwrap(), &ServiceKey::new("shop", name), reservation);
        }
        let lines = write(books.reservations());
        assert_eq!(lines["lab"].lines().count(), 3, "{lines:?}");
        assert!(
            lines["lab"].contains("10.0.0.7 shop/web reserved-until=2027-01-15T08:00:00Z\n"),
            "{lines:?}"
        );
        let mut again = Books::default();
        for (address, service, reservation) in read(&config_map(&lines)) {
            again.reserve(address, &service, reservation);
        }
        assert_eq!(again.reservations(), books.reservations());
    }

    #[test]
    fn a_line_that_says_nothing_spoils_no_other() {
        let text = "nonsense\n10.0.0.7 shop/web reserved-until=tomorrow\n10.0.0.8 shop/web reserved-until=2027-01-15T08:00:00Z\n";
        let kept = read(&config_map(&Lines::from([("lab".to_owned(), text.to_owned())])));
        assert_eq!(kept.iter().map(|(address, ..)| address.to_string()).collect::<Vec<_>>(), ["10.0.0.8"]);
    }
}
