//! Upstream's MetalLB in its native mode, as its manifest installs it, with clients on layer 2 and behind a router.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use metallb_takeover::there_and_back::there_and_back;
use metallb_takeover::upstream::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_upstreams_is_taken_over_and_handed_back_with_all_its_addresses() {
    there_and_back(Mode::Native, async |_| Ok(())).await.unwrap();
}
