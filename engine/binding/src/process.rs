//! The process's own protection, and its clock.

use pyo3::prelude::*;
use zoneward_core::process;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(protect_process, module)?)?;
    module.add_function(wrap_pyfunction!(boot_time, module)?)
}

#[pyfunction]
fn protect_process(py: Python<'_>) -> Vec<String> {
    // Locking memory touches every page.
    py.detach(process::protect)
}

#[pyfunction]
fn boot_time() -> f64 {
    process::boot_time()
}
