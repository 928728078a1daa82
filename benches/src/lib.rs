//! What arvel-session costs, beside its peers, by its public interface alone. `cargo xtask bench` runs it.

pub mod allocating;
pub mod apps;
pub mod case;
pub mod content;
pub mod figures;
pub mod in_process;
pub mod instructions;
pub mod jar;
pub mod load;
pub mod ours;
pub mod plan;
#[cfg(feature = "report")]
pub mod report;
pub mod runtime;
pub mod sample;
pub mod scale;
pub mod sockets;
#[cfg(feature = "stores")]
pub mod stores;
pub mod table;
pub mod tables;
pub mod timing;
