//! Upstream's MetalLB in its FRR mode, as its manifest installs it: FRR in the speaker's pod has the sessions.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use metallb_takeover::there_and_back::there_and_back;
use metallb_takeover::upstream::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speakers_with_frr_beside_them_are_taken_over_and_handed_back_with_all_addresses() {
    there_and_back(Mode::Frr, async |_| Ok(())).await.unwrap();
}
