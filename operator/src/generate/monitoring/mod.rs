//! For those who watch: the alerts for a Prometheus without its operator, and a dashboard for Grafana.

mod dashboard;
mod panels;
mod rules;

pub use dashboard::dashboard;
pub(super) use rules::artifacts;
