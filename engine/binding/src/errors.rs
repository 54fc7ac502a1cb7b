//! EngineError and ScanError, and the way from Rust's errors and panics to them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{create_exception, intern};
use zoneward_core::error::Error;

create_exception!(engine._native, EngineError, PyException);
create_exception!(engine._native, ScanError, EngineError);

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("EngineError", py.get_type::<EngineError>())?;
    module.add("ScanError", py.get_type::<ScanError>())
}

/// The Python exception for a core error, with its attributes set.
pub fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let raised = EngineError::new_err(error.to_string());
    let value = raised.value(py);
    for (name, text) in [
        (intern!(py, "code"), Some(error.code)),
        (intern!(py, "place"), error.place.as_deref()),
        (intern!(py, "message"), Some(error.message.as_str())),
    ] {
        if let Err(failed) = value.setattr(name, text) {
            return failed;
        }
    }
    raised
}

/// Run engine work with the GIL released; a panic becomes EngineError "bug".
pub fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> PyResult<T> {
    let outcome = py.detach(|| catch_unwind(AssertUnwindSafe(work)));
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(to_python(py, &error)),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown");
            Err(to_python(py, &Error::new("bug", format!("a bug in the engine: {text}"))))
        }
    }
}

/// Cached lookup of a Python class by module and name.
pub fn python_type<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyType>>,
    module: &str,
    name: &str,
) -> PyResult<&'py Bound<'py, PyType>> {
    cell.import(py, module, name)
}
