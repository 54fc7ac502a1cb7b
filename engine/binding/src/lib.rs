//! The engine's Python face: converts, and does nothing else.

use pyo3::prelude::*;

mod errors;
mod process;
mod scan;
mod server;
mod sign;
mod store;
mod transfer;
mod verify;
mod zone;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    errors::register(module)?;
    process::register(module)?;
    scan::register(module)?;
    server::register(module)?;
    sign::register(module)?;
    store::register(module)?;
    transfer::register(module)?;
    verify::register(module)?;
    zone::register(module)
}
