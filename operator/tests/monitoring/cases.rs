//! For each alert: series that make it fire, and series that come near to it.

/// Series, and what they hold.
pub type Series = &'static [(&'static str, &'static str)];

pub struct Case {
    pub alert: &'static str,
    /// What makes it fire, with the labels it fires with.
    pub fires: Series,
    pub labels: &'static [(&'static str, &'static str)],
    /// What comes near to it, and does not.
    pub is_quiet: Series,
}

const POD: (&str, &str) = ("pod", "speaker-1");

pub const CASES: &[Case] = &[
    Case {
        alert: "MetalLBStaleConfig",
        fires: &[(r#"metallb_k8s_client_config_stale_bool{pod="speaker-1"}"#, "1x120")],
        labels: &[POD],
        is_quiet: &[(r#"metallb_k8s_client_config_stale_bool{pod="speaker-1"}"#, "0x120")],
    },
    Case {
        alert: "MetalLBConfigNotLoaded",
        fires: &[(
            r#"metallb_k8s_client_config_loaded_bool{job="speaker-monitor-service",namespace="metallb-system",pod="speaker-1"}"#,
            "0x120",
        )],
        labels: &[POD, ("job", "speaker-monitor-service"), ("namespace", "metallb-system")],
        // The second controller stands by.
        is_quiet: &[
            (
                r#"metallb_k8s_client_config_loaded_bool{job="controller-monitor-service",namespace="metallb-system",pod="a"}"#,
                "1x120",
            ),
            (
                r#"metallb_k8s_client_config_loaded_bool{job="controller-monitor-service",namespace="metallb-system",pod="b"}"#,
                "0x120",
            ),
        ],
    },
    Case {
        alert: "MetalLBConfigNotLoaded",
        fires: &[(
            r#"metallb_k8s_client_config_loaded_bool{job="controller-monitor-service",namespace="metallb-system",pod="a"}"#,
            "0x120",
        )],
        labels: &[("job", "controller-monitor-service"), ("namespace", "metallb-system")],
        is_quiet: &[(
            r#"metallb_k8s_client_config_loaded_bool{job="speaker-monitor-service",namespace="metallb-system",pod="a"}"#,
            "1x120",
        )],
    },
    Case {
        alert: "MetalLBWritesRefused",
        fires: &[(r#"metallb_k8s_client_update_errors_total{pod="speaker-1"}"#, "0+1x120")],
        labels: &[POD],
        is_quiet: &[(r#"metallb_k8s_client_update_errors_total{pod="speaker-1"}"#, "7x120")],
    },
    Case {
        alert: "MetalLBAddressPoolExhausted",
        // However many IPv6 addresses are left.
        fires: &[
            (r#"metallb_allocator_ipv4_addresses_in_use_total{pool="lab"}"#, "12x120"),
            (r#"metallb_allocator_ipv4_addresses_total{pool="lab"}"#, "12x120"),
            (r#"metallb_allocator_ipv6_addresses_in_use_total{pool="lab"}"#, "12x120"),
            (r#"metallb_allocator_ipv6_addresses_total{pool="lab"}"#, "9223372036854775807x120"),
        ],
        labels: &[("pool", "lab"), ("family", "ipv4")],
        // A pool without addresses of that family has not run out of them.
        is_quiet: &[
            (r#"metallb_allocator_ipv4_addresses_in_use_total{pool="lab"}"#, "0x120"),
            (r#"metallb_allocator_ipv4_addresses_total{pool="lab"}"#, "0x120"),
            (r#"metallb_allocator_ipv6_addresses_in_use_total{pool="lab"}"#, "11x120"),
            (r#"metallb_allocator_ipv6_addresses_total{pool="lab"}"#, "12x120"),
        ],
    },
    Case {
        alert: "MetalLBAddressPoolExhausted",
        fires: &[
            (r#"metallb_allocator_ipv6_addresses_in_use_total{pool="lab"}"#, "4x120"),
            (r#"metallb_allocator_ipv6_addresses_total{pool="lab"}"#, "4x120"),
        ],
        labels: &[("pool", "lab"), ("family", "ipv6")],
        is_quiet: &[],
    },
    Case {
        alert: "MetalLBAddressPoolUsage75Percent",
        fires: &[
            (r#"metallb_allocator_ipv4_addresses_in_use_total{pool="lab"}"#, "76x120"),
            (r#"metallb_allocator_ipv4_addresses_total{pool="lab"}"#, "100x120"),
        ],
        labels: &[("pool", "lab"), ("family", "ipv4")],
        is_quiet: &[
            (r#"metallb_allocator_ipv4_addresses_in_use_total{pool="lab"}"#, "75x120"),
            (r#"metallb_allocator_ipv4_addresses_total{pool="lab"}"#, "100x120"),
        ],
    },
    Case {
        alert: "MetalLBAddressPoolUsage85Percent",
        fires: &[
            (r#"metallb_allocator_ipv6_addresses_in_use_total{pool="lab"}"#, "86x120"),
            (r#"metallb_allocator_ipv6_addresses_total{pool="lab"}"#, "100x120"),
        ],
        labels: &[("pool", "lab"), ("family", "ipv6")],
        is_quiet: &[
            (r#"metallb_allocator_ipv6_addresses_in_use_total{pool="lab"}"#, "85x120"),
            (r#"metallb_allocator_ipv6_addresses_total{pool="lab"}"#, "100x120"),
        ],
    },
    Case {
        alert: "MetalLBAddressPoolUsage95Percent",
        fires: &[
            (r#"metallb_allocator_ipv4_addresses_in_use_total{pool="lab"}"#, "96x120"),
            (r#"metallb_allocator_ipv4_addresses_total{pool="lab"}"#, "100x120"),
        ],
        labels: &[("pool", "lab"), ("family", "ipv4")],
        is_quiet: &[
            (r#"metallb_allocator_ipv4_addresses_in_use_total{pool="lab"}"#, "95x120"),
            (r#"metallb_allocator_ipv4_addresses_total{pool="lab"}"#, "100x120"),
        ],
    },
    Case {
        alert: "MetalLBAddressConflict",
        fires: &[(r#"metallb_layer2_address_conflict{ip="192.0.2.1",pod="speaker-1"}"#, "1x120")],
        labels: &[POD, ("ip", "192.0.2.1")],
        is_quiet: &[(r#"metallb_layer2_address_conflict{ip="192.0.2.1",pod="speaker-1"}"#, "0x120")],
    },
    Case {
        alert: "MetalLBAddressHasTwoOwners",
        fires: &[
            (
                r#"metallb_speaker_announced{ip="192.0.2.1",node="one",protocol="layer2",service="default/a"}"#,
                "1x120",
            ),
            (
                r#"metallb_speaker_announced{ip="192.0.2.1",node="two",protocol="layer2",service="default/a"}"#,
                "1x120",
            ),
        ],
        labels: &[("ip", "192.0.2.1")],
        // Two services that share an address; and by BGP every node announces it.
        is_quiet: &[
            (
                r#"metallb_speaker_announced{ip="192.0.2.1",node="one",protocol="layer2",service="default/a"}"#,
                "1x120",
            ),
            (
                r#"metallb_speaker_announced{ip="192.0.2.1",node="one",protocol="layer2",service="default/b"}"#,
                "1x120",
            ),
            (
                r#"metallb_speaker_announced{ip="192.0.2.1",node="two",protocol="bgp",service="default/b"}"#,
                "1x120",
            ),
        ],
    },
    Case {
        alert: "MetalLBAddressWithoutOwner",
        fires: &[
            (r#"metallb_allocator_addresses_in_use_total{pool="lab"}"#, "2x120"),
            (
                r#"metallb_speaker_announced{ip="192.0.2.1",node="one",protocol="layer2",service="default/a"}"#,
                "1x120",
            ),
        ],
        labels: &[],
        is_quiet: &[
            (r#"metallb_allocator_addresses_in_use_total{pool="lab"}"#, "1x120"),
            (r#"metallb_allocator_addresses_in_use_total{pool="other"}"#, "1x120"),
            (
                r#"metallb_speaker_announced{ip="192.0.2.1",node="one",protocol="layer2",service="default/a"}"#,
                "1x120",
            ),
            (
                r#"metallb_speaker_announced{ip="192.0.2.2",node="two",protocol="bgp",service="default/b"}"#,
                "1x120",
            ),
        ],
    },
    Case {
        alert: "MetalLBAddressWithoutOwner",
        // Nothing is announced at all.
        fires: &[(r#"metallb_allocator_addresses_in_use_total{pool="lab"}"#, "2x120")],
        labels: &[],
        is_quiet: &[(r#"metallb_allocator_addresses_in_use_total{pool="lab"}"#, "0x120")],
    },
    Case {
        alert: "MetalLBSpeakersUnheard",
        fires: &[
            (r#"metallb_speaker_peers_ready{pod="speaker-1"}"#, "2x120"),
            (r#"metallb_speaker_peers_heard{pod="speaker-1"}"#, "1x120"),
        ],
        labels: &[POD],
        // One is replaced: for a moment it is ready and not heard. Another one is dead, and not ready either.
        is_quiet: &[
            (r#"metallb_speaker_peers_ready{pod="speaker-1"}"#, "2x20 1x20 2x80"),
            (r#"metallb_speaker_peers_heard{pod="speaker-1"}"#, "2x18 1x24 2x78"),
        ],
    },
    Case {
        alert: "MetalLBHeartbeatsUnproven",
        fires: &[(
            r#"metallb_speaker_heartbeats_dropped_total{reason="unproven",pod="speaker-1"}"#,
            "0+30x120",
        )],
        labels: &[POD, ("reason", "unproven")],
        is_quiet: &[(
            r#"metallb_speaker_heartbeats_dropped_total{reason="unplaced",pod="speaker-1"}"#,
            "0+30x120",
        )],
    },
    Case {
        alert: "MetalLBHeartbeatsForeign",
        fires: &[(
            r#"metallb_speaker_heartbeats_dropped_total{reason="foreign",pod="speaker-1"}"#,
            "0+30x120",
        )],
        labels: &[POD, ("reason", "foreign")],
        // What a take-over left in the counter.
        is_quiet: &[(
            r#"metallb_speaker_heartbeats_dropped_total{reason="foreign",pod="speaker-1"}"#,
            "30x120",
        )],
    },
    Case {
        alert: "MetalLBBGPSessionDown",
        fires: &[(r#"metallb_bgp_session_up{peer="192.0.2.9:179",vrf="default",pod="speaker-1"}"#, "0x120")],
        labels: &[POD, ("peer", "192.0.2.9:179"), ("vrf", "default")],
        is_quiet: &[(
            r#"metallb_bgp_session_up{peer="192.0.2.9:179",vrf="default",pod="speaker-1"}"#,
            "1x120",
        )],
    },
    Case {
        alert: "MetalLBBGPSessionFlaps",
        fires: &[(
            r#"metallb_bgp_session_down_events{peer="192.0.2.9:179",vrf="default",pod="speaker-1"}"#,
            "0+1x120",
        )],
        labels: &[POD, ("peer", "192.0.2.9:179"), ("vrf", "default")],
        is_quiet: &[(
            r#"metallb_bgp_session_down_events{peer="192.0.2.9:179",vrf="default",pod="speaker-1"}"#,
            "0x80 1x40",
        )],
    },
    Case {
        alert: "MetalLBRoutesNotTaken",
        fires: &[
            (
                r#"metallb_bgp_announced_prefixes_total{peer="192.0.2.9:179",vrf="default",instance="n1:9120",pod="speaker-1"}"#,
                "4x120",
            ),
            (
                r#"metallb_bgp_pending_prefixes_total{peer="192.0.2.9:179",vrf="default",instance="n1:9120",pod="speaker-1"}"#,
                "5x120",
            ),
            (
                r#"metallb_bgp_session_up{peer="192.0.2.9:179",vrf="default",instance="n1:9120",pod="speaker-1"}"#,
                "1x120",
            ),
        ],
        labels: &[POD, ("peer", "192.0.2.9:179"), ("vrf", "default"), ("instance", "n1:9120")],
        // Another alert tells of that.
        is_quiet: &[
            (
                r#"metallb_bgp_announced_prefixes_total{peer="192.0.2.9:179",vrf="default",instance="n1:9120",pod="speaker-1"}"#,
                "0x120",
            ),
            (
                r#"metallb_bgp_pending_prefixes_total{peer="192.0.2.9:179",vrf="default",instance="n1:9120",pod="speaker-1"}"#,
                "5x120",
            ),
            (
                r#"metallb_bgp_session_up{peer="192.0.2.9:179",vrf="default",instance="n1:9120",pod="speaker-1"}"#,
                "0x120",
            ),
        ],
    },
    Case {
        alert: "MetalLBBFDSessionDown",
        fires: &[(r#"metallb_bfd_session_up{peer="192.0.2.9",vrf="default",pod="speaker-1"}"#, "0x120")],
        labels: &[POD, ("peer", "192.0.2.9"), ("vrf", "default")],
        is_quiet: &[(r#"metallb_bfd_session_up{peer="192.0.2.9",vrf="default",pod="speaker-1"}"#, "1x120")],
    },
    Case {
        alert: "MetalLBControllerAbsent",
        fires: &[(
            r#"up{job="controller-monitor-service",namespace="metallb-system",pod="controller-1"}"#,
            "0x120",
        )],
        labels: &[],
        is_quiet: &[(
            r#"up{job="controller-monitor-service",namespace="metallb-system",pod="controller-1"}"#,
            "1x120",
        )],
    },
    Case {
        alert: "MetalLBSpeakersAbsent",
        fires: &[],
        labels: &[],
        is_quiet: &[
            (r#"up{job="speaker-monitor-service",namespace="metallb-system",pod="speaker-1"}"#, "0x120"),
            (r#"up{job="speaker-monitor-service",namespace="metallb-system",pod="speaker-2"}"#, "1x120"),
        ],
    },
    Case {
        alert: "MetalLBSpeakerDown",
        fires: &[
            (r#"up{job="speaker-monitor-service",namespace="metallb-system",pod="speaker-1"}"#, "0x120"),
            (r#"up{job="speaker-monitor-service",namespace="metallb-system",pod="speaker-2"}"#, "1x120"),
        ],
        labels: &[POD, ("job", "speaker-monitor-service"), ("namespace", "metallb-system")],
        is_quiet: &[
            (r#"up{job="speaker-monitor-service",namespace="metallb-system",pod="speaker-1"}"#, "1x120"),
            (r#"up{job="another",namespace="metallb-system",pod="speaker-1"}"#, "0x120"),
        ],
    },
    Case {
        alert: "MetalLBPodsNotReady",
        fires: &[
            (r#"metallb_operator_pods{component="speaker",state="ready"}"#, "2x120"),
            (r#"metallb_operator_pods{component="speaker",state="desired"}"#, "3x120"),
        ],
        labels: &[("component", "speaker")],
        is_quiet: &[
            (r#"metallb_operator_pods{component="speaker",state="ready"}"#, "3x120"),
            (r#"metallb_operator_pods{component="speaker",state="desired"}"#, "3x120"),
            (r#"metallb_operator_pods{component="speaker",state="updated"}"#, "1x120"),
        ],
    },
    Case {
        alert: "MetalLBDegraded",
        fires: &[(
            r#"metallb_operator_condition{metallb="metallb-system/metallb",type="Degraded"}"#,
            "1x120",
        )],
        labels: &[("metallb", "metallb-system/metallb"), ("type", "Degraded")],
        is_quiet: &[
            (r#"metallb_operator_condition{metallb="metallb-system/metallb",type="Degraded"}"#, "0x120"),
            (r#"metallb_operator_condition{metallb="metallb-system/metallb",type="Available"}"#, "1x120"),
        ],
    },
    Case {
        alert: "MetalLBRolloutStuck",
        fires: &[(
            r#"metallb_operator_condition{metallb="metallb-system/metallb",type="Progressing"}"#,
            "1x120",
        )],
        labels: &[("metallb", "metallb-system/metallb"), ("type", "Progressing")],
        // It came to an end once.
        is_quiet: &[(
            r#"metallb_operator_condition{metallb="metallb-system/metallb",type="Progressing"}"#,
            "1x70 0 1x60",
        )],
    },
    Case {
        alert: "MetalLBWebhookCertificateExpires",
        // The clock of these tests begins with 1970.
        fires: &[(r#"metallb_operator_webhook_certificate_expiry_seconds{pod="o"}"#, "604800x120")],
        labels: &[("pod", "o")],
        is_quiet: &[(r#"metallb_operator_webhook_certificate_expiry_seconds{pod="o"}"#, "620000x120")],
    },
    Case {
        alert: "MetalLBReconcileFails",
        fires: &[(
            r#"controller_runtime_reconcile_total{controller="metallb",result="error",pod="o"}"#,
            "0+1x120",
        )],
        labels: &[("controller", "metallb"), ("result", "error"), ("pod", "o")],
        is_quiet: &[
            (
                r#"controller_runtime_reconcile_total{controller="metallb",result="success",pod="o"}"#,
                "0+1x120",
            ),
            (r#"controller_runtime_reconcile_total{controller="another",result="error",pod="o"}"#, "0+1x120"),
        ],
    },
    Case {
        alert: "MetalLBOperatorAbsent",
        fires: &[],
        labels: &[],
        is_quiet: &[
            (r#"up{job="operator-monitor-service",namespace="metallb-system",pod="one"}"#, "0x120"),
            (r#"up{job="operator-monitor-service",namespace="metallb-system",pod="two"}"#, "1x120"),
        ],
    },
];
