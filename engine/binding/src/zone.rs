//! Zone, RRset and Diff as Python sees them.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use zoneward_core::disk;
use zoneward_core::name::Name;
use zoneward_core::rdata::{rtype, type_name};
use zoneward_core::zone::{Diff, Node, Record, RrsetBuf, RrsetRef, Zone, diff};

use crate::{errors, scan};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyZone>()?;
    module.add_class::<PyRrset>()?;
    module.add_class::<PyDiff>()?;
    module.add_function(wrap_pyfunction!(source_changes, module)?)
}

/// A name from Python, lower-cased. Raises EngineError "name".
pub fn lower_name(py: Python<'_>, wire: &[u8]) -> PyResult<Name> {
    match Name::parse(wire) {
        Ok(name) => Ok(name.to_lower()),
        Err(error) => Err(errors::to_python(py, &error)),
    }
}

fn byte_list<'py>(
    py: Python<'py>,
    items: impl Iterator<Item = impl AsRef<[u8]>>,
) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, items.map(|item| PyBytes::new(py, item.as_ref())).collect::<Vec<_>>())
}

/// One RRset with its signatures. `ours` says that the signer made it, not the source.
#[pyclass(frozen, name = "RRset", module = "engine._native")]
pub struct PyRrset {
    owner: Name,
    rrset: RrsetBuf,
}

impl PyRrset {
    fn of(node: &Node, rrset: RrsetRef<'_>) -> Self {
        Self { owner: node.name().to_owned(), rrset: rrset.to_buf() }
    }
}

#[pymethods]
impl PyRrset {
    #[getter]
    fn owner<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.owner.wire())
    }

    #[getter]
    fn rtype(&self) -> u16 {
        self.rrset.rtype
    }

    #[getter]
    fn ttl(&self) -> u32 {
        self.rrset.ttl
    }

    #[getter]
    fn ours(&self) -> bool {
        self.rrset.ours
    }

    #[getter]
    fn rdatas<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        byte_list(py, self.rrset.rdatas())
    }

    #[getter]
    fn signatures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        byte_list(py, self.rrset.signatures())
    }

    fn __repr__(&self) -> String {
        let what = type_name(self.rrset.rtype);
        let (records, signatures) = (self.rrset.len(), self.rrset.signature_count());
        format!("<RRset {} {what}: {records} records, {signatures} signatures>", self.owner)
    }
}

/// An immutable version of a zone; cheap to hold and to share between threads.
#[pyclass(frozen, name = "Zone", module = "engine._native")]
pub struct PyZone(pub Arc<Zone>);

impl From<Zone> for PyZone {
    fn from(zone: Zone) -> Self {
        Self(Arc::new(zone))
    }
}

#[pymethods]
impl PyZone {
    #[getter]
    fn origin<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.origin().wire())
    }

    #[getter]
    fn serial(&self) -> u32 {
        self.0.serial()
    }

    #[getter]
    fn record_count(&self) -> usize {
        self.0.counts().records
    }

    #[getter]
    fn name_count(&self) -> usize {
        self.0.counts().names
    }

    #[getter]
    fn rrset_count(&self) -> usize {
        self.0.counts().rrsets
    }

    #[getter]
    fn signature_count(&self) -> usize {
        self.0.counts().signatures
    }

    fn rrset(&self, py: Python<'_>, owner: &[u8], rtype: u16) -> PyResult<Option<PyRrset>> {
        let owner = lower_name(py, owner)?;
        let node = match rtype {
            rtype::NSEC3 => self.0.nsec3_match(&owner),
            _ => self.0.get(&owner),
        };
        Ok(node.and_then(|node| {
            let rrset = node.rrset(rtype).filter(|rrset| !rrset.is_empty())?;
            Some(PyRrset::of(node, rrset))
        }))
    }

    fn rrsets_at(&self, py: Python<'_>, owner: &[u8]) -> PyResult<Vec<PyRrset>> {
        let owner = lower_name(py, owner)?;
        let nodes = self.0.get(&owner).into_iter().chain(self.0.nsec3_match(&owner));
        Ok(nodes.flat_map(rrsets_of).collect())
    }

    fn __iter__(&self) -> RrsetIterator {
        RrsetIterator { zone: self.0.clone(), last: None, batch: vec![].into_iter() }
    }

    #[pyo3(signature = (path, *, foreign = None))]
    fn write_text(
        &self,
        py: Python<'_>,
        path: PathBuf,
        foreign: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        scan::write_text(py, &self.0, &path, foreign)
    }

    #[pyo3(signature = (*, foreign = None))]
    fn to_text(&self, py: Python<'_>, foreign: Option<Py<PyAny>>) -> PyResult<String> {
        scan::to_text(py, &self.0, foreign)
    }

    fn apply(&self, py: Python<'_>, diff: &PyDiff) -> PyResult<Self> {
        errors::detached(py, || self.0.apply(&diff.0)).map(Self::from)
    }

    fn difference(&self, py: Python<'_>, other: &Self) -> PyResult<PyDiff> {
        errors::detached(py, || Ok(self.0.difference(&other.0))).map(PyDiff::from)
    }

    #[pyo3(signature = (*, keep_dnskey = false))]
    fn source(&self, py: Python<'_>, keep_dnskey: bool) -> PyResult<Self> {
        errors::detached(py, || Ok(self.0.source(keep_dnskey))).map(Self::from)
    }

    fn digest<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let digest = errors::detached(py, || Ok(self.0.digest()))?;
        Ok(PyBytes::new(py, &digest))
    }

    fn earliest_expiration(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        errors::detached(py, || Ok(self.0.earliest_expiration()))
    }

    /// Write a snapshot: a new file, fsynced, renamed over `path`, its directory fsynced.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        errors::detached(py, || disk::save(&self.0, &path))
    }

    /// Read a snapshot. Raises EngineError "snapshot" (version, checksum, truncation), "io".
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        errors::detached(py, || disk::load(&path)).map(Self::from)
    }

    fn heap_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        errors::detached(py, || Ok(self.0.heap_bytes()))
    }

    fn __repr__(&self) -> String {
        let counts = self.0.counts();
        let (origin, serial) = (self.0.origin(), self.0.serial());
        format!("<Zone {origin} serial {serial}: {} records>", counts.records)
    }
}

fn rrsets_of(node: &Node) -> impl Iterator<Item = PyRrset> {
    node.rrsets().filter(|rrset| !rrset.is_empty()).map(|rrset| PyRrset::of(node, rrset))
}

/// Nodes that the iterator takes out of the zone at a time.
const BATCH: usize = 64;

/// Over the RRsets of a version, which it keeps alive.
#[pyclass(module = "engine._native")]
struct RrsetIterator {
    zone: Arc<Zone>,
    last: Option<Name>,
    batch: std::vec::IntoIter<PyRrset>,
}

#[pymethods]
impl RrsetIterator {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&mut self) -> Option<PyRrset> {
        loop {
            if let Some(rrset) = self.batch.next() {
                return Some(rrset);
            }
            let mut batch = vec![];
            let mut last: Option<&Node> = None;
            for (count, node) in self.zone.canonical_after(self.last.as_deref()).enumerate() {
                // A name that is an NSEC3 owner too makes two nodes: not torn apart.
                if count >= BATCH && last.is_some_and(|last| last.name() != node.name()) {
                    break;
                }
                batch.extend(rrsets_of(node));
                last = Some(node);
            }
            let last = last.map(|node| node.name().to_owned());
            last.as_ref()?;
            self.last = last;
            self.batch = batch.into_iter();
        }
    }
}

/// Records removed and added between two versions (RFC 1995 section 2).
#[pyclass(frozen, name = "Diff", module = "engine._native")]
pub struct PyDiff(pub Arc<Diff>);

impl From<Diff> for PyDiff {
    fn from(diff: Diff) -> Self {
        Self(Arc::new(diff))
    }
}

type RecordTuple<'py> = (Bound<'py, PyBytes>, u16, u32, Bound<'py, PyBytes>);

fn tuples<'py>(py: Python<'py>, records: &[Record]) -> Vec<RecordTuple<'py>> {
    let bytes = |octets: &[u8]| PyBytes::new(py, octets);
    records.iter().map(|r| (bytes(r.owner.wire()), r.rtype, r.ttl, bytes(&r.rdata))).collect()
}

#[pymethods]
impl PyDiff {
    #[getter(from_serial)]
    fn first_serial(&self) -> u32 {
        self.0.from_serial
    }

    #[getter(to_serial)]
    fn last_serial(&self) -> u32 {
        self.0.to_serial
    }

    #[getter]
    fn removed_count(&self) -> usize {
        self.0.removed.len()
    }

    #[getter]
    fn added_count(&self) -> usize {
        self.0.added.len()
    }

    #[getter]
    fn owners<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        byte_list(py, self.0.owners().into_iter().map(|owner| owner.wire()))
    }

    fn __bool__(&self) -> bool {
        !self.0.is_empty()
    }

    fn removed<'py>(&self, py: Python<'py>) -> Vec<RecordTuple<'py>> {
        tuples(py, &self.0.removed)
    }

    fn added<'py>(&self, py: Python<'py>) -> Vec<RecordTuple<'py>> {
        tuples(py, &self.0.added)
    }

    fn __repr__(&self) -> String {
        let diff = &self.0;
        let (removed, added) = (diff.removed.len(), diff.added.len());
        format!("<Diff {} to {}: -{removed} +{added}>", diff.from_serial, diff.to_serial)
    }
}

#[pyfunction]
#[pyo3(signature = (last, new))]
fn source_changes(py: Python<'_>, last: Option<&PyZone>, new: &PyZone) -> PyResult<PyDiff> {
    let last = last.map(|zone| &*zone.0);
    errors::detached(py, || Ok(diff::source_changes(last, &new.0))).map(PyDiff::from)
}
