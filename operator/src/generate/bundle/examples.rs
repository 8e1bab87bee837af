//! An object of every version of every kind, which consoles offer or show.
//!
//! Of kinds that users write: the samples. Of kinds that only report: what speakers and controller would write.

use serde_json::Value;

use crate::generate::yaml;

const EXAMPLES: [&str; 12] = [
    include_str!("../../../../config/samples/metallb.yaml"),
    include_str!("../../../../config/samples/ipaddresspool.yaml"),
    include_str!("../../../../config/samples/l2advertisement.yaml"),
    include_str!("../../../../config/samples/bgpadvertisement.yaml"),
    include_str!("../../../../config/samples/bgppeer.yaml"),
    include_str!("../../../../config/samples/bgppeer_v1beta1.yaml"),
    include_str!("../../../../config/samples/bfdprofile.yaml"),
    include_str!("../../../../config/samples/community.yaml"),
    include_str!("reports/bgpnodestatus.yaml"),
    include_str!("reports/configurationstate.yaml"),
    include_str!("reports/servicebgpstatus.yaml"),
    include_str!("reports/servicel2status.yaml"),
];

pub(super) fn all() -> Result<Vec<Value>, yaml::Error> {
    EXAMPLES.iter().map(|text| yaml::read(text)).collect()
}
