//! A chain from its configuration.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::error::{Error, Result};
use crate::server::cache::{Cache, Caching, Counts};
use crate::server::chain::{Chain, Stage};
use crate::server::config;
use crate::server::forward::policy::MOST;
use crate::server::forward::upstream;
use crate::server::forward::{Forward, Pool};
use crate::server::handle::UDP_BUFFER;
use crate::server::hooks::{CHANGEABLE, Header, Minimal, Nsid, Shuffle};
use crate::server::limit::Limit;
use crate::server::log::Log;
use crate::server::predicate::Predicate;
use crate::server::rewrite::Rewrite;
use crate::server::ring::Ring;
use crate::server::routes::ChainZones;
use crate::server::rpz::Rpz;
use crate::server::rules::{Guard, Rules, Surroundings};
use crate::server::stages::{Answer, Errors, Loop, Metrics, Python, Whoami};
use crate::server::stock::Stock;
use crate::server::tap::{Tap, sink};

/// What chains share, and one configuration with the next.
pub struct Registries<'a> {
    pub upstreams: &'a upstream::Registry,
    pub sinks: &'a sink::Registry,
    pub stock: &'a Arc<Stock>,
}

/// `cached`: what the chain had for a cache before. Raises "config".
pub fn chain(
    config: &config::Chain,
    zones: &Arc<ChainZones>,
    cached: Option<&Arc<Cache>>,
    ring: &Arc<Ring>,
    shared: &Registries<'_>,
) -> Result<Chain> {
    let mut labels = vec![String::new()];
    let mut label = |name: &str| {
        labels.iter().position(|known| known == name).unwrap_or_else(|| {
            labels.push(name.to_owned());
            labels.len() - 1
        })
    };
    let origins = || config.origins.iter().map(|origin| origin.0.clone()).collect();
    let guard = || Guard { zones: zones.clone(), origins: origins() };
    let recursive = config.stages.iter().any(|stage| matches!(stage, config::Stage::Forward(_)));
    let around = |plugin: &str, label: usize| Surroundings {
        chain: config.id.clone(),
        plugin: plugin.to_owned(),
        label,
        guard: guard(),
        ring: ring.clone(),
        stock: shared.stock.clone(),
        recursive,
    };
    let mut stages: Vec<Box<dyn Stage>> = vec![];
    let mut loops = vec![];
    let mut cache = None;
    let (mut has_answer, mut counts) = (false, false);
    for stage in &config.stages {
        stages.push(match stage {
            config::Stage::Metrics {} => {
                counts = true;
                Box::new(Metrics)
            }
            config::Stage::Errors { prefix } => {
                Box::new(Errors { prefix: prefix.clone(), ring: ring.clone() })
            }
            config::Stage::Log { names, classes, format } => {
                Box::new(Log::new(names, classes, format, ring.clone())?)
            }
            config::Stage::Python(python) => {
                Box::new(Python::new(python, label(&python.name), guard()))
            }
            config::Stage::Whoami {} => Box::new(Whoami { label: label("whoami") }),
            config::Stage::Cache(wanted) => {
                let local = local_labels(&config.stages).map(&mut label).collect();
                let zones = holds_zones(&config.stages).then(|| (zones.clone(), origins()));
                let cache = cache.get_or_insert_with(|| self::cache(wanted, cached)).clone();
                Box::new(Caching { label: label("cache"), cache, local, zones })
            }
            config::Stage::Forward(forward) => {
                if !(1..=MOST).contains(&forward.upstreams.len()) {
                    return Err(Error::at("config", "forward", format!("1 to {MOST} upstreams")));
                }
                let pool = Arc::new(Pool::new(forward, shared.upstreams));
                Box::new(Forward { label: label("forward"), pool })
            }
            config::Stage::Loop { probe } => {
                let seen = Arc::new(AtomicU32::new(0));
                loops.push((probe.0.to_string(), seen.clone()));
                Box::new(Loop { probe: probe.0.clone(), seen })
            }
            config::Stage::Rules { plugin, rules } => {
                Box::new(Rules::new(around(plugin, label(plugin)), rules.clone()))
            }
            config::Stage::Tap(tap) => Box::new(Tap::new(tap, shared.sinks)?),
            config::Stage::Rpz { feeds } => Box::new(Rpz::new(around("rpz", label("rpz")), feeds)),
            config::Stage::Limit(limit) => Box::new(Limit::new(around("rrl", label("rrl")), limit)),
            config::Stage::Rewrite { rules } => {
                Box::new(Rewrite { rules: rules.clone(), guard: guard() })
            }
            config::Stage::Minimal {} => Box::new(Minimal),
            config::Stage::Header { set, clear } => {
                if (set | clear) & !CHANGEABLE != 0 {
                    return Err(Error::at("config", "header", "bits that can't be changed"));
                }
                Box::new(Header { set: *set, clear: *clear, guard: guard() })
            }
            config::Stage::Nsid { data } => Box::new(Nsid { data: data.0.clone() }),
            config::Stage::Shuffle { prefer } => Box::new(Shuffle { prefer: prefer.clone() }),
            config::Stage::Answer { plugin, one_for_any } => {
                has_answer = true;
                Box::new(Answer {
                    label: label(plugin),
                    zones: zones.clone(),
                    one_for_any: *one_for_any,
                    origins: origins(),
                })
            }
        });
    }
    let mut chain = Chain::new(config.id.clone(), config.view.clone(), stages, labels);
    (chain.has_answer, chain.counts, chain.loops) = (has_answer, counts, loops);
    chain.cache = cache;
    chain.when = Predicate::new(&config.when)?;
    (chain.udp_size, chain.any_class) = (config.udp_size.clamp(512, UDP_BUFFER), config.any_class);
    Ok(chain)
}

/// The one that there was, if nothing about it changes.
fn cache(wanted: &config::Cache, before: Option<&Arc<Cache>>) -> Arc<Cache> {
    match before {
        Some(cache) if cache.config == *wanted => cache.clone(),
        Some(cache) => Arc::new(Cache::new(wanted, cache.counts())),
        None => Arc::new(Cache::new(wanted, Counts::default())),
    }
}

/// Who answers from what is here.
fn local_labels(stages: &[config::Stage]) -> impl Iterator<Item = &str> {
    stages.iter().filter_map(|stage| match stage {
        config::Stage::Answer { plugin, .. } | config::Stage::Rules { plugin, .. } => {
            Some(plugin.as_str())
        }
        config::Stage::Whoami {} => Some("whoami"),
        _ => None,
    })
}

fn holds_zones(stages: &[config::Stage]) -> bool {
    stages.iter().any(|stage| matches!(stage, config::Stage::Answer { .. }))
}
