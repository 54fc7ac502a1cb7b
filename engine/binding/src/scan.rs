//! Reading zone files into zones, writing zones as text, and asking Python about types that
//! the engine does not know.

use std::path::{Path, PathBuf};

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zoneward_core::error::{Error, Result};
use zoneward_core::name::NameRef;
use zoneward_core::scan::{self, Failure, Foreign, Options};
use zoneward_core::text;
use zoneward_core::zone::Zone;

use crate::errors::{self, ScanError};
use crate::zone::PyZone;

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Problem>()?;
    module.add_function(wrap_pyfunction!(scan_file, module)?)?;
    module.add_function(wrap_pyfunction!(scan_text, module)?)
}

/// One error of a zone file; line and column count from 1.
#[pyclass(frozen, eq, get_all, module = "engine._native")]
#[derive(PartialEq)]
pub struct Problem {
    file: String,
    line: u32,
    column: u32,
    message: String,
}

#[pymethods]
impl Problem {
    fn __str__(&self) -> String {
        format!("{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }

    fn __repr__(&self) -> String {
        format!("<Problem {}>", self.__str__())
    }
}

/// Python callables that know more types: `parse(rtype, text, origin) -> rdata` and
/// `print(rtype, rdata) -> text`.
pub struct Callables {
    parse: Py<PyAny>,
    print: Py<PyAny>,
}

impl Callables {
    /// What is not given comes from `engine.foreign`, which asks dnspython.
    pub fn new(
        py: Python<'_>,
        parse: Option<Py<PyAny>>,
        print: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let usual = py.import("engine.foreign")?;
        let or_usual = |given: Option<Py<PyAny>>, name: &str| match given {
            Some(given) => Ok(given),
            None => usual.getattr(name).map(Bound::unbind),
        };
        Ok(Self { parse: or_usual(parse, "from_text")?, print: or_usual(print, "to_text")? })
    }
}

impl Foreign for Callables {
    fn parse(
        &mut self,
        rtype: u16,
        text: &str,
        origin: &NameRef,
    ) -> std::result::Result<Vec<u8>, String> {
        Python::attach(|py| {
            let called = self.parse.call1(py, (rtype, text, PyBytes::new(py, origin.wire())));
            called.and_then(|rdata| rdata.extract::<Vec<u8>>(py)).map_err(|error| {
                if error.is_instance_of::<PyValueError>(py) {
                    error.value(py).to_string().replace('\n', " ")
                } else {
                    error.to_string().replace('\n', " ")
                }
            })
        })
    }

    fn print(&mut self, rtype: u16, rdata: &[u8]) -> Option<String> {
        Python::attach(|py| {
            let called = self.print.call1(py, (rtype, PyBytes::new(py, rdata)));
            // Whatever Python can't print has the generic form.
            called.and_then(|text| text.extract(py)).ok()
        })
    }
}

fn finish(
    py: Python<'_>,
    work: impl FnOnce() -> std::result::Result<Zone, Failure> + Send,
) -> PyResult<PyZone> {
    match errors::detached(py, || Ok(work()))? {
        Ok(zone) => Ok(zone.into()),
        Err(Failure::Unread(error)) => Err(errors::to_python(py, &error)),
        Err(Failure::Problems(problems)) => Err(scan_error(py, problems)),
    }
}

fn scan_error(py: Python<'_>, problems: Vec<scan::Problem>) -> PyErr {
    let place = problems.first().map(|p| format!("{}:{}:{}", p.file, p.line, p.column));
    let mut message = problems.first().map(|p| p.message.clone()).unwrap_or_default();
    if problems.len() > 1 {
        message.push_str(&format!(" (and {} more)", problems.len() - 1));
    }
    let raised = ScanError::new_err(
        Error::at("scan", place.as_deref().unwrap_or_default(), &*message).to_string(),
    );
    let problems: Vec<Problem> = problems
        .into_iter()
        .map(|scan::Problem { file, line, column, message }| Problem {
            file,
            line,
            column,
            message,
        })
        .collect();
    let value = raised.value(py);
    let set = value
        .setattr(intern!(py, "code"), "scan")
        .and_then(|()| value.setattr(intern!(py, "place"), place))
        .and_then(|()| value.setattr(intern!(py, "message"), message))
        .and_then(|()| value.setattr(intern!(py, "problems"), problems));
    match set {
        Ok(()) => raised,
        Err(failed) => failed,
    }
}

#[pyfunction(name = "scan")]
#[pyo3(signature = (path, origin, *, default_ttl = None, max_problems = 20, foreign = None))]
fn scan_file(
    py: Python<'_>,
    path: PathBuf,
    origin: &[u8],
    default_ttl: Option<u32>,
    max_problems: usize,
    foreign: Option<Py<PyAny>>,
) -> PyResult<PyZone> {
    let origin = crate::zone::lower_name(py, origin)?;
    let mut foreign = Callables::new(py, foreign, None)?;
    let options = Options { default_ttl, max_problems };
    finish(py, move || scan::scan_file(&path, &origin, &options, Some(&mut foreign)))
}

#[pyfunction]
#[pyo3(signature = (
    text, origin, *, name = "<text>", default_ttl = None, max_problems = 20, foreign = None
))]
fn scan_text(
    py: Python<'_>,
    text: &[u8],
    origin: &[u8],
    name: &str,
    default_ttl: Option<u32>,
    max_problems: usize,
    foreign: Option<Py<PyAny>>,
) -> PyResult<PyZone> {
    let origin = crate::zone::lower_name(py, origin)?;
    let mut foreign = Callables::new(py, foreign, None)?;
    let options = Options { default_ttl, max_problems };
    finish(py, move || scan::scan_text(text, name, &origin, &options, Some(&mut foreign)))
}

/// `Zone.write_text`.
pub fn write_text(
    py: Python<'_>,
    zone: &Zone,
    path: &Path,
    foreign: Option<Py<PyAny>>,
) -> PyResult<()> {
    let mut foreign = Callables::new(py, None, foreign)?;
    errors::detached(py, move || text::write_file(zone, path, Some(&mut foreign)))
}

/// `Zone.to_text`.
pub fn to_text(py: Python<'_>, zone: &Zone, foreign: Option<Py<PyAny>>) -> PyResult<String> {
    let mut foreign = Callables::new(py, None, foreign)?;
    errors::detached(py, move || -> Result<String> { text::zone_text(zone, Some(&mut foreign)) })
}
