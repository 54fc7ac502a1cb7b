//! Keys, plans and the signing pass as Python sees them.

use std::sync::Arc;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyType};
use zeroize::Zeroizing;
use zoneward_core::dnssec::{
    self, Algorithm, Denial, ForeignVerifier, Nsec3, Role, Scope, SignPlan, SigningKey,
};
use zoneward_core::error::{Error, Result};

use crate::errors;
use crate::zone::{PyDiff, PyZone, lower_name};

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    dnssec::set_foreign_verifier(Box::new(PythonVerifier));
    module.add_class::<PySigningKey>()?;
    module.add_class::<PySignPlan>()?;
    module.add_class::<PySigned>()?;
    module.add("SIGNS_KEYS", Role::KEYS.bits())?;
    module.add("SIGNS_ZONE", Role::ZONE.bits())?;
    module.add_function(wrap_pyfunction!(sign, module)?)?;
    module.add_function(wrap_pyfunction!(key_tag, module)?)?;
    module.add_function(wrap_pyfunction!(ds_digest, module)?)?;
    module.add_function(wrap_pyfunction!(nsec3_hash, module)?)
}

static ED448: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Ed448 by the `cryptography` library.
struct PythonVerifier;

impl ForeignVerifier for PythonVerifier {
    fn verify(
        &self,
        algorithm: Algorithm,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        if algorithm != Algorithm::Ed448 {
            return false;
        }
        Python::attach(|py| -> PyResult<()> {
            let class = errors::python_type(
                py,
                &ED448,
                "cryptography.hazmat.primitives.asymmetric.ed448",
                "Ed448PublicKey",
            )?;
            let key = class.call_method1("from_public_bytes", (PyBytes::new(py, public_key),))?;
            let arguments = (PyBytes::new(py, signature), PyBytes::new(py, message));
            key.call_method1("verify", arguments).map(drop)
        })
        // InvalidSignature, or bytes that are no key: no signature of this key either way.
        .is_ok()
    }
}

/// Messages to a Python callable, signatures back.
struct PythonSigner(Py<PyAny>);

impl dnssec::Sign for PythonSigner {
    fn sign(&self, messages: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        Python::attach(|py| -> PyResult<Vec<Vec<u8>>> {
            let messages = messages.iter().map(|message| PyBytes::new(py, message));
            let list = PyList::new(py, messages.collect::<Vec<_>>())?;
            self.0.call1(py, (list,))?.extract(py)
        })
        .map_err(|error| Error::new("key", format!("the external signer failed: {error}")))
    }
}

/// A private key ready to sign. Its memory is wiped when it is dropped.
#[pyclass(frozen, name = "SigningKey", module = "engine._native")]
pub struct PySigningKey(Arc<SigningKey>);

#[pymethods]
impl PySigningKey {
    #[new]
    fn new(py: Python<'_>, dnskey: &[u8], private: &Bound<'_, PyAny>) -> PyResult<Self> {
        let private = taken(py, private)?;
        errors::detached(py, || SigningKey::from_pkcs8(dnskey, &private))
            .map(|key| Self(Arc::new(key)))
    }

    #[staticmethod]
    fn external(py: Python<'_>, dnskey: &[u8], signer: Py<PyAny>) -> PyResult<Self> {
        SigningKey::external(dnskey, Box::new(PythonSigner(signer)))
            .map(|key| Self(Arc::new(key)))
            .map_err(|error| errors::to_python(py, &error))
    }

    #[getter]
    fn algorithm(&self) -> u8 {
        self.0.public().algorithm().number()
    }

    #[getter]
    fn tag(&self) -> u16 {
        self.0.public().tag()
    }

    #[getter]
    fn dnskey<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.public().dnskey())
    }

    fn __repr__(&self) -> String {
        format!("<SigningKey algorithm {} tag {}>", self.algorithm(), self.tag())
    }
}

/// The content of a writable buffer, which is wiped.
fn taken(py: Python<'_>, private: &Bound<'_, PyAny>) -> PyResult<Zeroizing<Vec<u8>>> {
    let buffer = PyBuffer::<u8>::get(private)?;
    if buffer.readonly() {
        return Err(PyValueError::new_err("a private key comes in a bytearray, to be wiped"));
    }
    let copy = Zeroizing::new(buffer.to_vec(py)?);
    buffer.copy_from_slice(py, &vec![0; copy.len()])?;
    Ok(copy)
}

/// See `SignPlan` in the stub.
#[pyclass(frozen, name = "SignPlan", module = "engine._native")]
pub struct PySignPlan(SignPlan);

#[pymethods]
impl PySignPlan {
    #[new]
    #[pyo3(signature = (
        *, keys, dnskeys, dnskey_ttl, cds = vec![], cdnskeys = vec![], nsec3 = None, serial,
        inception, expiration, jitter = 0, refresh_before, resign = vec![], threads = 0,
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of the contract")]
    fn new(
        py: Python<'_>,
        keys: Vec<(PyRef<'_, PySigningKey>, u32)>,
        dnskeys: Vec<Vec<u8>>,
        dnskey_ttl: u32,
        cds: Vec<Vec<u8>>,
        cdnskeys: Vec<Vec<u8>>,
        nsec3: Option<(u16, Vec<u8>, bool)>,
        serial: u32,
        inception: u32,
        expiration: u32,
        jitter: u32,
        refresh_before: u32,
        resign: Vec<(Vec<u8>, Option<u16>)>,
        threads: usize,
    ) -> PyResult<Self> {
        let keys = keys
            .iter()
            .map(|(key, bits)| {
                let role = Role::from_bits(*bits).ok_or_else(|| {
                    PyValueError::new_err("a key's role is SIGNS_KEYS, SIGNS_ZONE or both")
                })?;
                Ok((key.0.clone(), role))
            })
            .collect::<PyResult<Vec<_>>>()?;
        let denial = match nsec3 {
            _ if keys.is_empty() => Denial::None,
            None => Denial::Nsec,
            Some((iterations, salt, opt_out)) => {
                Denial::Nsec3(Nsec3 { iterations, salt: salt.into(), opt_out })
            }
        };
        let resign = resign
            .iter()
            .map(|(owner, rtype)| Ok((lower_name(py, owner)?, *rtype)))
            .collect::<PyResult<Vec<_>>>()?;
        let plan = SignPlan {
            keys,
            dnskeys,
            dnskey_ttl,
            cds,
            cdnskeys,
            denial,
            serial,
            inception,
            expiration,
            jitter,
            refresh_before,
            resign,
            threads,
        };
        plan.check().map_err(|error| errors::to_python(py, &error))?;
        Ok(Self(plan))
    }
}

/// What a signing pass gave.
#[pyclass(frozen, name = "Signed", module = "engine._native")]
pub struct PySigned {
    #[pyo3(get)]
    zone: Py<PyZone>,
    #[pyo3(get)]
    diff: Option<Py<PyDiff>>,
    #[pyo3(get)]
    made: usize,
    #[pyo3(get)]
    kept: usize,
    #[pyo3(get)]
    changed: bool,
}

#[pyfunction]
#[pyo3(signature = (base, changes, plan, *, scope = "changes"))]
fn sign(
    py: Python<'_>,
    base: Option<Py<PyZone>>,
    changes: &PyDiff,
    plan: &PySignPlan,
    scope: &str,
) -> PyResult<PySigned> {
    let scope = match scope {
        "changes" => Scope::Changes,
        "expiring" => Scope::Expiring,
        "all" => Scope::All,
        other => {
            let why = format!("scope is \"changes\", \"expiring\" or \"all\", not {other:?}");
            return Err(PyValueError::new_err(why));
        }
    };
    let from = base.as_ref().map(|base| base.get().0.clone());
    let signed =
        errors::detached(py, || dnssec::sign(from.as_deref(), &changes.0, &plan.0, scope))?;
    let changed = signed.zone.is_some();
    let zone = match (signed.zone, base) {
        (Some(zone), _) => Py::new(py, PyZone::from(zone))?,
        (None, Some(base)) => base,
        (None, None) => {
            let bug = Error::new("bug", "signing a new zone changed nothing");
            return Err(errors::to_python(py, &bug));
        }
    };
    let diff = signed.diff.map(|diff| Py::new(py, PyDiff::from(diff))).transpose()?;
    Ok(PySigned { zone, diff, made: signed.made, kept: signed.kept, changed })
}

#[pyfunction]
fn key_tag(dnskey: &[u8]) -> u16 {
    dnssec::key_tag(dnskey)
}

#[pyfunction]
fn ds_digest<'py>(
    py: Python<'py>,
    owner: &[u8],
    dnskey: &[u8],
    digest_type: u8,
) -> PyResult<Bound<'py, PyBytes>> {
    let owner = lower_name(py, owner)?;
    match dnssec::ds_digest(&owner, dnskey, digest_type) {
        Ok(ds) => Ok(PyBytes::new(py, &ds)),
        Err(error) => Err(errors::to_python(py, &error)),
    }
}

#[pyfunction]
fn nsec3_hash<'py>(
    py: Python<'py>,
    name: &[u8],
    iterations: u16,
    salt: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let name = lower_name(py, name)?;
    Ok(PyBytes::new(py, &dnssec::nsec3_hash(&name, iterations, salt)))
}
