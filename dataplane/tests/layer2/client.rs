//! The other side: kernels and programs that look for an address.

use std::time::Duration;

use metallb_lab::eventually;
use metallb_lab::network::Host;

use super::site::LINK;

/// How long a thing may take on a machine that does other work too.
pub const SOON: Duration = Duration::from_secs(20);

/// The hardware address of a host's interface.
pub async fn mac(host: &Host) -> String {
    let said = host.run(&["ip", "-brief", "link", "show", LINK]).await.unwrap().success().unwrap();
    said.split_whitespace().nth(2).unwrap().to_owned()
}

/// What a host's kernel knows of a neighbour: its hardware address and how sure it is.
pub async fn neighbour(host: &Host, address: &str) -> Option<(String, String)> {
    let said = host.run(&["ip", "neighbour", "show", address]).await.unwrap().success().unwrap();
    let words: Vec<&str> = said.split_whitespace().collect();
    let station = words.iter().position(|word| *word == "lladdr")?;
    Some(((*words.get(station + 1)?).to_owned(), (*words.last()?).to_owned()))
}

/// Has a host's kernel forget all its neighbours.
pub async fn forget(host: &Host) {
    host.run(&["ip", "neighbour", "flush", "dev", LINK]).await.unwrap().success().unwrap();
}

/// Waits until a host's kernel believes that an address is at that station.
pub async fn believes(host: &Host, address: &str, station: &str) {
    eventually(SOON, &format!("{address} is at {station}"), async || {
        let known = neighbour(host, address).await;
        if known.as_ref().is_some_and(|(at, _)| at == station) { Ok(()) } else { Err(known) }
    })
    .await;
}

/// Has a host's kernel look for an address, by sending it something. Whether an answer came.
pub async fn reaches(host: &Host, address: &str) -> bool {
    host.run(&["ping", "-c", "1", "-W", "2", address]).await.unwrap().success().is_ok()
}
