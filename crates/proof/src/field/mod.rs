//! The field on which the proof takes place: stores of our own, server processes on them, and what can befall both.

mod census;
mod damage;
mod disk;
mod driver;
mod locks;
mod place;
mod process;
mod proxy;
mod servers;

pub use census::live;
pub use damage::{name, ruin};
pub use disk::Disk;
pub use driver::Driver;
pub use locks::locks;
pub use place::Place;
pub use process::Process;
pub use proxy::{Proxy, Wire};
pub use servers::Servers;
