//! Transfers between peers: TSIG keys, the primary's side, the secondary's, NOTIFY.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zoneward_core::error::Error;
use zoneward_core::name::Name;
use zoneward_core::tsig::{Algorithm, Key, Rejected};
use zoneward_core::xfr::{self, Answer, Client, Request, Server};

use crate::errors;
use crate::zone::{PyDiff, PyZone, lower_name};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TsigKey>()?;
    module.add_class::<TransferRequest>()?;
    module.add_class::<TransferServer>()?;
    module.add_class::<TransferAnswer>()?;
    module.add_class::<TransferClient>()?;
    module.add_function(wrap_pyfunction!(notify_message, module)?)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shared secret (RFC 8945); its text never shows the secret.
#[pyclass(frozen, module = "engine._native")]
struct TsigKey(Arc<Key>);

#[pymethods]
impl TsigKey {
    #[new]
    fn new(py: Python<'_>, name: &[u8], algorithm: &str, secret: &[u8]) -> PyResult<Self> {
        let name = lower_name(py, name)?;
        let make = || {
            let known = Algorithm::from_text(algorithm).ok_or_else(|| {
                let why = "not an algorithm for TSIG: hmac-sha256, hmac-sha384 or hmac-sha512";
                Error::at("tsig", &name, why)
            })?;
            Key::new(&name, known, secret)
        };
        make().map(|key| Self(Arc::new(key))).map_err(|error| errors::to_python(py, &error))
    }

    fn __repr__(&self) -> String {
        format!("<TsigKey {}>", self.0.name())
    }
}

/// A parsed query of a peer.
#[pyclass(frozen, module = "engine._native")]
struct TransferRequest(Request);

#[pymethods]
impl TransferRequest {
    #[getter]
    fn origin<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.origin.wire())
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.text()
    }

    #[getter]
    fn serial(&self) -> Option<u32> {
        self.0.serial
    }

    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.key().map(|key| PyBytes::new(py, key.name().wire()))
    }

    fn __repr__(&self) -> String {
        format!("<TransferRequest {} {}>", self.0.kind.text(), self.0.origin)
    }
}

/// The primary's side, without sockets.
#[pyclass(frozen, module = "engine._native")]
struct TransferServer(Server);

fn rejected(py: Python<'_>, rejected: &Rejected) -> PyErr {
    let raised = errors::to_python(py, &rejected.error);
    let reply = rejected.reply.as_ref().map(|reply| PyBytes::new(py, reply));
    match raised.value(py).setattr("reply", reply) {
        Ok(()) => raised,
        Err(failed) => failed,
    }
}

#[pymethods]
impl TransferServer {
    #[new]
    fn new(keys: Vec<PyRef<'_, TsigKey>>) -> Self {
        Self(Server::new(keys.iter().map(|key| Arc::clone(&key.0)).collect()))
    }

    fn parse(&self, py: Python<'_>, message: &[u8], now: u64) -> PyResult<TransferRequest> {
        let outcome = errors::detached(py, || Ok(self.0.parse(message, now)))?;
        outcome.map(TransferRequest).map_err(|refused| rejected(py, &refused))
    }

    fn answer(
        &self,
        py: Python<'_>,
        request: &TransferRequest,
        zone: &PyZone,
        history: Option<Vec<PyRef<'_, PyDiff>>>,
        now: u64,
    ) -> PyResult<TransferAnswer> {
        let history =
            history.map(|diffs| diffs.iter().map(|diff| Arc::clone(&diff.0)).collect::<Vec<_>>());
        let (request, zone) = (request.0.clone(), Arc::clone(&zone.0));
        errors::detached(py, || Answer::new(request, zone, history, now))
            .map(|answer| TransferAnswer(Mutex::new(answer)))
    }

    fn refuse<'py>(
        &self,
        py: Python<'py>,
        request: &TransferRequest,
        rcode: u8,
        now: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if !(1..=15).contains(&rcode) {
            let error = Error::new("transfer", format!("rcode {rcode} refuses nothing"));
            return Err(errors::to_python(py, &error));
        }
        Ok(PyBytes::new(py, &request.0.refuse(rcode, now)))
    }

    fn acknowledge<'py>(
        &self,
        py: Python<'py>,
        request: &TransferRequest,
        now: u64,
    ) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &request.0.acknowledge(now))
    }
}

/// The messages that answer a request, each made when it is asked for.
#[pyclass(frozen, module = "engine._native")]
struct TransferAnswer(Mutex<Answer>);

#[pymethods]
impl TransferAnswer {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let message = errors::detached(py, || lock(&self.0).next_message())?;
        Ok(message.map(|message| PyBytes::new(py, &message)))
    }
}

/// One transfer in. Raises EngineError "transfer" on anything that is not right.
#[pyclass(frozen, module = "engine._native")]
struct TransferClient(Mutex<Client>);

#[pymethods]
impl TransferClient {
    #[new]
    #[pyo3(signature = (origin, base, key, *, max_octets = xfr::DEFAULT_LIMIT))]
    fn new(
        py: Python<'_>,
        origin: &[u8],
        base: Option<&PyZone>,
        key: Option<&TsigKey>,
        max_octets: usize,
    ) -> PyResult<Self> {
        let origin: Name = lower_name(py, origin)?;
        let base = base.map(|zone| Arc::clone(&zone.0));
        let key = key.map(|key| Arc::clone(&key.0));
        errors::detached(py, || Client::new(&origin, base, key, max_octets))
            .map(|client| Self(Mutex::new(client)))
    }

    fn request<'py>(
        &self,
        py: Python<'py>,
        message_id: u16,
        now: u64,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let wire = errors::detached(py, || lock(&self.0).request(message_id, now))?;
        Ok(PyBytes::new(py, &wire))
    }

    fn feed(&self, py: Python<'_>, message: &[u8], now: u64) -> PyResult<bool> {
        errors::detached(py, || lock(&self.0).feed(message, now))
    }

    fn zone(&self, py: Python<'_>) -> PyResult<Option<PyZone>> {
        errors::detached(py, || lock(&self.0).zone()).map(|zone| zone.map(PyZone))
    }

    fn diffs(&self, py: Python<'_>) -> PyResult<Option<Vec<PyDiff>>> {
        let diffs = errors::detached(py, || Ok(lock(&self.0).diffs()?.map(<[_]>::to_vec)))?;
        Ok(diffs.map(|diffs| diffs.into_iter().map(PyDiff).collect()))
    }
}

#[pyfunction]
fn notify_message<'py>(
    py: Python<'py>,
    origin: &[u8],
    serial: u32,
    key: Option<&TsigKey>,
    message_id: u16,
    now: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    let origin = lower_name(py, origin)?;
    let key = key.map(|key| Arc::clone(&key.0));
    Ok(PyBytes::new(py, &xfr::notify(&origin, serial, key, message_id, now)))
}
