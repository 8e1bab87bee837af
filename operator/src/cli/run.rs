//! A command, from its arguments to its answer.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use k8s_openapi::jiff::Timestamp;
use metallb_crds::cluster::service::LoadBalancerClass;

use super::args::{Cli, Command, Common, Explain};
use super::documents;
use super::inventory::Inventory;
use super::output::{Answer, render};
use super::{explain, live, owners, peers, plan, preflight, validate};

/// Does what `cli` asks for, and prints the answer.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { command, common } = cli;
    let class = LoadBalancerClass::from_flag(&common.lb_class);
    match command {
        Command::Validate { filename, external_frrk8s_namespace } => {
            let documents = documents::read_all(&filename)?;
            let external = Some(external_frrk8s_namespace.as_str()).filter(|name| !name.is_empty());
            answer(&validate::validate(&documents, external, &common)?, &common)
        }
        Command::Plan { filename, live } => {
            anyhow::ensure!(live || !filename.is_empty(), "name files with -f, or a cluster with --live");
            answer(&plan::plan(&inventory(&filename, live, &common).await?, &class), &common)
        }
        Command::Peers { peer, node, check, filename } => {
            let inventory = if filename.is_empty() {
                live::sessions(common.kubeconfig.as_deref(), &common.namespace).await.context(
                    "cannot look at the cluster; name one with --kubeconfig or $KUBECONFIG, or give files",
                )?
            } else {
                Inventory::of(&documents::read_all(&filename)?, &common.namespace)?
            };
            let filter = peers::Filter { peer, node };
            let mut peers = peers::peers(&inventory, &filter, &common.namespace, Timestamp::now())?;
            peers.check = check;
            answer(&peers, &common)
        }
        Command::Owners { address, check, filename } => {
            let address = address.as_deref().map(owners::address).transpose()?;
            let inventory = inventory(&filename, filename.is_empty(), &common).await?;
            let mut owners = owners::owners(&inventory, address, &class, Timestamp::now())?;
            owners.check = check;
            answer(&owners, &common)
        }
        Command::Preflight => {
            let cluster = preflight::gather::cluster(&common).await.context(
                "cannot look at the cluster; name one with --kubeconfig or $KUBECONFIG, as somebody who may read all of it",
            )?;
            answer(&preflight::preflight(&cluster), &common)
        }
        Command::Explain { what: Explain::Service { service, filename } } => {
            let inventory = inventory(&filename, filename.is_empty(), &common).await?;
            answer(&explain::service(&inventory, &service, &class)?, &common)
        }
    }
}

async fn inventory(files: &[PathBuf], is_live: bool, common: &Common) -> anyhow::Result<Inventory> {
    let documents = documents::read_all(files)?;
    let mut inventory = if is_live {
        live::inventory(common.kubeconfig.as_deref(), &common.namespace).await.context(
            "cannot look at the cluster; name one with --kubeconfig or $KUBECONFIG, or give files with -f",
        )?
    } else {
        Inventory::default()
    };
    inventory.apply(&documents, &common.namespace)?;
    Ok(inventory)
}

fn answer(answer: &impl Answer, common: &Common) -> anyhow::Result<ExitCode> {
    print!("{}", render(answer, common.output)?);
    Ok(answer.exit())
}
