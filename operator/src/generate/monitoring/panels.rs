//! What the dashboard shows: a table of panels.

/// How a panel looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// One number for each series, as it is now.
    Number,
    /// A bar for each series, as it is now.
    Bars,
    /// Lines over time.
    Lines,
    /// Up and down over time, a band for each series.
    Bands,
    /// A line of text for each series, as it is now.
    Table,
}

/// One panel.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) look: Look,
    /// Of 24.
    pub(super) width: u32,
    pub(super) unit: &'static str,
    /// Expressions, each with what its series are called.
    pub(super) queries: &'static [(&'static str, &'static str)],
}

/// Panels under one heading.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: &'static [Panel],
}

pub(super) const ROWS: &[Row] = &[
    Row {
        title: "At a glance",
        panels: &[
            Panel {
                title: "Addresses in use",
                look: Look::Number,
                width: 4,
                unit: "none",
                queries: &[("sum(metallb_allocator_addresses_in_use_total)", "")],
            },
            Panel {
                title: "Announced by nobody",
                look: Look::Number,
                width: 4,
                unit: "none",
                queries: &[(
                    "sum(metallb_allocator_addresses_in_use_total) \
                     - (count(count by (ip) (metallb_speaker_announced == 1)) or vector(0))",
                    "",
                )],
            },
            Panel {
                title: "BGP sessions down",
                look: Look::Number,
                width: 4,
                unit: "none",
                queries: &[("count(metallb_bgp_session_up == 0) or vector(0)", "")],
            },
            Panel {
                title: "BFD sessions down",
                look: Look::Number,
                width: 4,
                unit: "none",
                queries: &[("count(metallb_bfd_session_up == 0) or vector(0)", "")],
            },
            Panel {
                title: "Set something aside",
                look: Look::Number,
                width: 4,
                unit: "none",
                queries: &[("count(metallb_k8s_client_config_stale_bool == 1) or vector(0)", "")],
            },
            Panel {
                title: "MetalLB",
                look: Look::Number,
                width: 4,
                unit: "none",
                queries: &[("metallb_operator_condition == 1", "{{type}}")],
            },
        ],
    },
    Row {
        title: "Pools",
        panels: &[
            Panel {
                title: "Used, of each pool",
                look: Look::Bars,
                width: 12,
                unit: "percent",
                queries: &[
                    (
                        "metallb_allocator_ipv4_addresses_in_use_total \
                         / (metallb_allocator_ipv4_addresses_total > 0) * 100",
                        "{{pool}} IPv4",
                    ),
                    (
                        "metallb_allocator_ipv6_addresses_in_use_total \
                         / (metallb_allocator_ipv6_addresses_total > 0) * 100",
                        "{{pool}} IPv6",
                    ),
                ],
            },
            Panel {
                title: "Addresses in use",
                look: Look::Lines,
                width: 12,
                unit: "none",
                queries: &[("metallb_allocator_addresses_in_use_total", "{{pool}}")],
            },
        ],
    },
    Row {
        title: "Announcements",
        panels: &[
            Panel {
                title: "Addresses by node",
                look: Look::Lines,
                width: 12,
                unit: "none",
                queries: &[(
                    "count by (node, protocol) (count by (node, protocol, ip) (metallb_speaker_announced == 1))",
                    "{{node}} {{protocol}}",
                )],
            },
            Panel {
                title: "Who announces what",
                look: Look::Table,
                width: 12,
                unit: "none",
                queries: &[("max by (service, ip, protocol, node) (metallb_speaker_announced == 1)", "")],
            },
            Panel {
                title: "ARP and NDP: asked and answered, per second",
                look: Look::Lines,
                width: 12,
                unit: "none",
                queries: &[
                    ("sum(rate(metallb_layer2_requests_received[$__rate_interval]))", "asked"),
                    ("sum(rate(metallb_layer2_responses_sent[$__rate_interval]))", "answered"),
                ],
            },
            Panel {
                title: "Addresses that a station outside the cluster has too",
                look: Look::Table,
                width: 12,
                unit: "none",
                queries: &[("max by (ip, pod) (metallb_layer2_address_conflict == 1)", "")],
            },
        ],
    },
    Row {
        title: "Sessions",
        panels: &[
            Panel {
                title: "BGP sessions",
                look: Look::Bands,
                width: 12,
                unit: "none",
                queries: &[("metallb_bgp_session_up", "{{pod}} {{peer}}")],
            },
            Panel {
                title: "BFD sessions",
                look: Look::Bands,
                width: 12,
                unit: "none",
                queries: &[("metallb_bfd_session_up", "{{pod}} {{peer}}")],
            },
            Panel {
                title: "Routes: known to the router, and meant to be",
                look: Look::Lines,
                width: 12,
                unit: "none",
                queries: &[
                    ("sum by (peer) (metallb_bgp_announced_prefixes_total)", "{{peer}} known"),
                    ("sum by (peer) (metallb_bgp_pending_prefixes_total)", "{{peer}} meant"),
                ],
            },
            Panel {
                title: "Why sessions ended, or did not come about",
                look: Look::Lines,
                width: 12,
                unit: "none",
                queries: &[(
                    "sum by (reason, peer) (increase(metallb_bgp_session_failures[$__rate_interval])) > 0",
                    "{{peer}} {{reason}}",
                )],
            },
        ],
    },
    Row {
        title: "Failovers",
        panels: &[
            Panel {
                title: "Layer 2: addresses taken over in the last minute",
                look: Look::Lines,
                width: 8,
                unit: "none",
                queries: &[(
                    "count by (node) (count by (node, ip) (metallb_speaker_announced{protocol=\"layer2\"} == 1) \
                     unless count by (node, ip) (metallb_speaker_announced{protocol=\"layer2\"} offset 1m == 1))",
                    "{{node}}",
                )],
            },
            Panel {
                title: "Layer 2: neighbours told, frames per second",
                look: Look::Lines,
                width: 8,
                unit: "none",
                queries: &[(
                    "sum by (pod) (rate(metallb_layer2_gratuitous_sent[$__rate_interval]))",
                    "{{pod}}",
                )],
            },
            Panel {
                title: "Sessions that went down",
                look: Look::Lines,
                width: 8,
                unit: "none",
                queries: &[
                    (
                        "sum by (pod, peer) (increase(metallb_bgp_session_down_events[$__rate_interval]))",
                        "BGP {{pod}} {{peer}}",
                    ),
                    (
                        "sum by (pod, peer) (increase(metallb_bfd_session_down_events[$__rate_interval]))",
                        "BFD {{pod}} {{peer}}",
                    ),
                ],
            },
            Panel {
                title: "Speakers that are ready, and not heard",
                look: Look::Lines,
                width: 12,
                unit: "none",
                queries: &[("metallb_speaker_peers_ready - metallb_speaker_peers_heard", "by {{pod}}")],
            },
            Panel {
                title: "Heartbeats that counted for nothing, per second",
                look: Look::Lines,
                width: 12,
                unit: "none",
                queries: &[(
                    "sum by (reason) (rate(metallb_speaker_heartbeats_dropped_total[$__rate_interval]))",
                    "{{reason}}",
                )],
            },
        ],
    },
    Row {
        title: "Processes",
        panels: &[
            Panel {
                title: "Pods that are ready, and that should be",
                look: Look::Lines,
                width: 8,
                unit: "none",
                queries: &[("metallb_operator_pods{state=~\"ready|desired\"}", "{{component}} {{state}}")],
            },
            Panel {
                title: "Put right after somebody's edit; refused by the API server",
                look: Look::Lines,
                width: 8,
                unit: "none",
                queries: &[
                    (
                        "sum by (kind) (increase(metallb_operator_objects_repaired_total[$__rate_interval]))",
                        "{{kind}} put right",
                    ),
                    (
                        "sum by (pod) (increase(metallb_k8s_client_update_errors_total[$__rate_interval]))",
                        "{{pod}} refused",
                    ),
                    (
                        "sum(increase(controller_runtime_reconcile_total{controller=\"metallb\",result=\"error\"}\
                         [$__rate_interval]))",
                        "operator refused",
                    ),
                ],
            },
            Panel {
                title: "Memory",
                look: Look::Lines,
                width: 8,
                unit: "bytes",
                queries: &[(
                    "process_resident_memory_bytes{job=~\"(controller|speaker)-monitor-service\"}",
                    "{{pod}}",
                )],
            },
        ],
    },
];
