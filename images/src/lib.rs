//! Container images without a container builder: static programs, packed `FROM scratch` into an OCI archive.
//!
//! An archive is an OCI image layout (image-spec, `image-layout.md`) in a tar file, with Docker's `manifest.json`
//! beside it, so `ctr image import`, `podman load`, `skopeo copy oci-archive:` and `docker load` all take it. Packing
//! the same programs twice gives the same bytes.
//!
//! Not here: building the programs, and pushing the archive anywhere.

mod archive;
mod image;

pub use image::Image;
