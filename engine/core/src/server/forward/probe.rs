//! Whether an upstream that failed is there again.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::rdata::rtype;
use crate::server::forward::forwarder::Forwarder;
use crate::server::forward::job::{Job, Link};
use crate::server::forward::message::Asked;
use crate::server::forward::upstream::Probing;

impl Forwarder {
    /// Find out, beside the queries, whether the job's upstream is there.
    pub(super) fn probe(&mut self, job: &Job) {
        let pool = &job.pool;
        if pool.max_fails == 0 || self.jobs.len() >= self.most {
            return;
        }
        let Some(probing) = Probing::begin(job.target()) else { return };
        let health = &pool.health;
        let asked = Asked::ours(&health.domain, rtype::NS, health.recursion_desired);
        let by_stream = pool.force_tcp;
        let now = Instant::now();
        let mut probe = Job::new(vec![], pool.clone(), asked, job.order, by_stream, now);
        probe.upstream = job.upstream;
        probe.probing = Some(probing);
        let index = self.jobs.reserve(0);
        self.send_probe(index, probe);
    }

    pub(super) fn send_probe(&mut self, index: u32, mut job: Box<Job>) {
        if job.pool.is_retired.load(Ordering::Acquire) {
            return self.jobs.release(index);
        }
        job.link = Link::None;
        if let Err(job) = self.ask(index, job, Instant::now()) {
            self.probe_failed(index, job);
        }
    }

    pub(super) fn probe_failed(&mut self, index: u32, mut job: Box<Job>) {
        job.target().failed();
        job.link = Link::None;
        let until = Instant::now() + job.pool.health.interval;
        self.wait(index, job, until);
    }

    pub(super) fn probe_answered(&mut self, index: u32, job: Box<Job>) {
        drop(job);
        self.jobs.release(index);
    }
}
