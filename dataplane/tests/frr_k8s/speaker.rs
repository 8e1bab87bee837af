//! The speaker as a process, with the backend `frr-k8s-external`.
