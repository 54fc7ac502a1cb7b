//! Server and ParkedQuery.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use zoneward_core::error::Result;
use zoneward_core::server::Server;
use zoneward_core::server::parked::{Handle, Parked};
use zoneward_core::server::predicate;
use zoneward_core::server::rewrite::config::Pattern;
use zoneward_core::server::rpz::feed::Counts;

use crate::errors;
use crate::zone::{PyZone, lower_name};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyServer>()?;
    module.add_class::<PyParkedQuery>()?;
    module.add_class::<PyPattern>()?;
    module.add_function(wrap_pyfunction!(check_pattern, module)?)
}

#[pyfunction]
fn check_pattern(py: Python<'_>, pattern: &str) -> PyResult<()> {
    errors::detached(py, || predicate::pattern(pattern).map(drop))
}

/// A regular expression as the engine matches it.
#[pyclass(frozen, name = "Pattern", module = "engine._native")]
struct PyPattern(Pattern);

#[pymethods]
impl PyPattern {
    #[new]
    fn new(py: Python<'_>, text: &str) -> PyResult<Self> {
        errors::detached(py, || Pattern::try_from(text.to_owned())).map(Self)
    }

    #[getter]
    fn groups(&self) -> Vec<Option<String>> {
        self.0.names()
    }

    fn match_in(&self, text: &str) -> Option<Vec<String>> {
        self.0.matched(text)
    }
}

/// The query path: sockets, threads, chains, zones.
#[pyclass(frozen, name = "Server", module = "engine._native")]
struct PyServer(Server);

impl PyServer {
    fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Server) -> Result<T> + Send,
    ) -> PyResult<T> {
        errors::detached(py, || work(&self.0))
    }
}

#[pymethods]
impl PyServer {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        errors::detached(py, Server::new).map(Self)
    }

    fn bind(&self, py: Python<'_>, config: &[u8]) -> PyResult<()> {
        self.detached(py, |server| server.bind(config))
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.detached(py, Server::start)
    }

    fn configure(&self, py: Python<'_>, config: &[u8]) -> PyResult<()> {
        self.detached(py, |server| server.configure(config))
    }

    fn publish(
        &self,
        py: Python<'_>,
        chain: &str,
        zone: &Bound<'_, PyZone>,
        valid_until: i64,
    ) -> PyResult<()> {
        let zone = zone.get().0.clone();
        self.detached(py, |server| server.publish(chain, zone, valid_until))
    }

    fn withdraw(&self, py: Python<'_>, chain: &str, origin: &[u8]) -> PyResult<()> {
        let origin = lower_name(py, origin)?;
        self.detached(py, |server| server.withdraw(chain, &origin))
    }

    fn refill(&self, py: Python<'_>, chain: &str, plugin: &str, rules: &[u8]) -> PyResult<()> {
        self.detached(py, |server| server.refill(chain, plugin, rules))
    }

    fn fill_list(&self, py: Python<'_>, list: &str, text: &[u8]) -> PyResult<(usize, usize)> {
        self.detached(py, |server| server.fill_list(list, text))
    }

    fn fill_feed(
        &self,
        py: Python<'_>,
        feed: &str,
        zone: &Bound<'_, PyZone>,
    ) -> PyResult<(usize, usize, usize, usize, usize)> {
        let zone = zone.get().0.clone();
        let counts = self.detached(py, |server| server.fill_feed(feed, &zone))?;
        let Counts { names, clients, answers, of_servers, unread } = counts;
        Ok((names, clients, answers, of_servers, unread))
    }

    fn plugin_fd(&self) -> i32 {
        self.0.plugin_fd()
    }

    fn take(&self) -> Vec<PyParkedQuery> {
        self.0.take().into_iter().map(PyParkedQuery).collect()
    }

    fn drain_log(&self, py: Python<'_>) -> Vec<(u8, String)> {
        py.detach(|| self.0.drain_log())
    }

    fn stats<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let json = py.detach(|| self.0.stats());
        PyBytes::new(py, &json)
    }

    fn lameduck(&self) {
        self.0.lameduck();
    }

    fn close(&self, py: Python<'_>) {
        // The timer thread may want the interpreter for a callback before it ends.
        py.detach(|| self.0.close());
    }
}

/// A query that waits for a Python stage; letting go of it without an answer is a failure.
#[pyclass(frozen, name = "ParkedQuery", module = "engine._native")]
struct PyParkedQuery(Handle);

impl PyParkedQuery {
    fn parked(&self) -> &Arc<Parked> {
        &self.0.0
    }
}

#[pymethods]
impl PyParkedQuery {
    #[getter]
    fn plugin(&self) -> u32 {
        self.parked().plugin()
    }

    /// As the client spelled it.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let query = self.parked().query();
        PyBytes::new(py, query.as_ref().map_or(&[0], |query| query.name_as_sent()))
    }

    #[getter]
    fn rtype(&self) -> u16 {
        self.parked().query().map_or(0, |query| query.qtype)
    }

    #[getter]
    fn qclass(&self) -> u16 {
        self.parked().query().map_or(0, |query| query.qclass)
    }

    #[getter]
    fn dnssec_ok(&self) -> bool {
        self.parked().query().is_some_and(|query| query.dnssec_ok())
    }

    #[getter]
    fn client(&self) -> String {
        self.parked().peer().client.ip().to_canonical().to_string()
    }

    #[getter]
    fn client_port(&self) -> u16 {
        self.parked().peer().client.port()
    }

    #[getter]
    fn transport(&self) -> &'static str {
        if self.parked().peer().stream { "tcp" } else { "udp" }
    }

    fn wire<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.parked().packet())
    }

    fn proceed<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let reply = errors::detached(py, || Ok(self.parked().proceed()))?;
        Ok(reply.map(|wire| PyBytes::new(py, &wire)))
    }

    fn on_reply(&self, py: Python<'_>, callback: Py<PyAny>) {
        let told = move |reply: Option<Vec<u8>>| {
            Python::attach(|py| {
                let wire = reply.map(|wire| PyBytes::new(py, &wire).unbind());
                if let Err(error) = callback.call1(py, (wire,)) {
                    // No frame of Python's is above this one: it goes to sys.unraisablehook.
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
            });
        };
        py.detach(|| self.parked().on_reply(Box::new(told)));
    }

    fn reply(&self, py: Python<'_>, wire: &[u8]) -> PyResult<()> {
        errors::detached(py, || {
            self.parked().reply(wire);
            Ok(())
        })
    }

    fn drop(&self, py: Python<'_>) -> PyResult<()> {
        errors::detached(py, || {
            self.parked().drop_query();
            Ok(())
        })
    }

    fn fail(&self, py: Python<'_>) -> PyResult<()> {
        errors::detached(py, || {
            self.parked().fail();
            Ok(())
        })
    }
}
