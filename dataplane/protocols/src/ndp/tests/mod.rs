//! Neighbour Discovery: the bytes (`wire` of routers, `neighbour`), who is answered (`responder`), and who is found when
//! (`discovery`).

mod discovery;
mod neighbour;
mod responder;
mod wire;
