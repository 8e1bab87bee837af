//! What rules may cost.

use anyhow::Result;
use metallb_lab::ApiServer;
use serde_json::{Value, json};

use crate::setup::install;

/// A rule about the items of a list, by the kind's plural, the field, and what would have to hold.
const ABOUT_ITEMS: [(&str, &str, &str); 6] = [
    ("ipaddresspools", "addresses", "self.all(entry, isCIDR(entry) || entry.contains('-'))"),
    ("bgpadvertisements", "communities", "self.all(item, item.contains(':'))"),
    ("communities", "communities", "self.all(alias, alias.value.contains(':'))"),
    ("l2advertisements", "ipAddressPools", "self.all(one, self.exists_one(other, one == other))"),
    (
        "l2advertisements",
        "nodeSelectors",
        "self.all(selector, selector.matchExpressions.all(it, it.operator in ['In', 'NotIn', 'Exists', 'DoesNotExist']))",
    ),
    ("bgppeers", "nodeSelectors", "self.all(one, self.exists_one(other, one == other))"),
];

#[tokio::test]
async fn the_rules_of_all_definitions_are_within_the_budget_and_those_about_items_are_not() -> Result<()> {
    let server = ApiServer::start_plain().await?;
    let admin = server.admin().await?;
    install(&admin, |_| ()).await?;
    for (plural, field, rule) in ABOUT_ITEMS {
        let add = |definition: &mut Value| {
            if definition["spec"]["names"]["plural"] == plural {
                let versions = definition["spec"]["versions"].as_array_mut().unwrap();
                let root = &mut versions.last_mut().unwrap()["schema"]["openAPIV3Schema"];
                root["properties"]["spec"]["properties"][field]["x-kubernetes-validations"] =
                    json!([{ "rule": rule, "message": "no" }]);
            }
        };
        let refused = install(&admin, add).await.expect_err(rule);
        assert!(format!("{refused:#}").contains("budget"), "{plural} {field}: {refused:#}");
    }
    Ok(())
}
