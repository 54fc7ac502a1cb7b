//! A chain from its configuration.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::server::chain::{Chain, Stage};
use crate::server::config;
use crate::server::forward::policy::MOST;
use crate::server::forward::upstream::Registry;
use crate::server::forward::{Forward, Pool};
use crate::server::log::Log;
use crate::server::ring::Ring;
use crate::server::routes::ChainZones;
use crate::server::stages::{Answer, Errors, Metrics, Python, Whoami};

/// Raises "config".
pub fn chain(
    config: &config::Chain,
    zones: &Arc<ChainZones>,
    ring: &Arc<Ring>,
    upstreams: &Registry,
) -> Result<Chain> {
    let mut labels = vec![String::new()];
    let mut label = |name: &str| {
        labels.iter().position(|known| known == name).unwrap_or_else(|| {
            labels.push(name.to_owned());
            labels.len() - 1
        })
    };
    let mut stages: Vec<Box<dyn Stage>> = vec![];
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
            config::Stage::Python(python) => Box::new(Python::new(python, label(&python.name))),
            config::Stage::Whoami {} => Box::new(Whoami { label: label("whoami") }),
            config::Stage::Forward(forward) => {
                if !(1..=MOST).contains(&forward.upstreams.len()) {
                    return Err(Error::at("config", "forward", format!("1 to {MOST} upstreams")));
                }
                let pool = Arc::new(Pool::new(forward, upstreams));
                Box::new(Forward { label: label("forward"), pool })
            }
            config::Stage::Answer { plugin } => {
                has_answer = true;
                Box::new(Answer {
                    label: label(plugin),
                    zones: zones.clone(),
                    origins: config.origins.iter().map(|origin| origin.0.clone()).collect(),
                })
            }
        });
    }
    let mut chain = Chain::new(config.id.clone(), config.view.clone(), stages, labels);
    (chain.has_answer, chain.counts) = (has_answer, counts);
    Ok(chain)
}
