//! A component's first request: cold (compiled in the confined child), warm (compiled before, on disk), hot (in memory).

use crate::{
    components::Component,
    host::{Host, Parts, call_once},
    samples::Samples,
    table,
};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Compilations of one component, as far as this time goes.
const COLD: usize = 5;
const COLD_TIME: Duration = Duration::from_secs(20);
const WARM: usize = 20;
const HOT: usize = 200;

pub async fn report(components: Vec<Component>) {
    let mut rows = Vec::new();
    for component in &components {
        let folder = tempfile::tempdir().unwrap();
        let before = processor_time_of_children();
        let (upload, first, stages) = cold(component).await;
        let compiler = (processor_time_of_children() - before) / u32::try_from(upload.len()).unwrap();
        let cache = folder.path().join("compiled");
        let host = Host::at(&cache);
        host.compile(1, component).await;
        let plan = component.plan(1, &stages);
        let mut warm = Samples::default();
        for _ in 0..WARM {
            let host = Host::at(&cache);
            let mut parts = Parts::default();
            host.time(&plan, &mut parts, async |run| call_once(run, &stages).await)
                .await;
            warm.extend([parts.answered.median()]);
        }
        let mut hot = Parts::default();
        for _ in 0..HOT {
            host.time(&plan, &mut hot, async |run| call_once(run, &stages).await)
                .await;
        }
        rows.push(vec![
            component.name.clone(),
            table::bytes(component.bytes.len() as u64),
            table::bytes(size(&cache)),
            table::time(compiler),
            table::time(upload.median()),
            table::time(first.median()),
            table::time(warm.median()),
            table::time(hot.answered.median()),
        ]);
    }
    table::print(
        "A first request, in medians: after an upload (reach: ≤ 1 s for ≤ 1 MB), after a restart, and later ones",
        &[
            "component",
            "size",
            "compiled",
            "compiler's processor time",
            "upload",
            "upload and first request",
            "warm",
            "hot",
        ],
        &rows,
    );
}

/// Uploads, uploads with the request after them, and the stages that the component serves.
async fn cold(component: &Component) -> (Samples, Samples, Vec<riad_core::plugin::Stage>) {
    let (mut upload, mut first) = (Samples::default(), Samples::default());
    let begun = Instant::now();
    loop {
        // Nothing is compiled yet in a folder of its own.
        let host = Host::new();
        let uploaded = Instant::now();
        let stages = host.compile(1, component).await.stages;
        upload.add(uploaded.elapsed());
        let plan = component.plan(1, &stages);
        let mut parts = Parts::default();
        host.time(&plan, &mut parts, async |run| call_once(run, &stages).await)
            .await;
        first.add(uploaded.elapsed());
        if upload.len() == COLD || begun.elapsed() > COLD_TIME {
            return (upload, first, stages);
        }
    }
}

/// What the children that have ended had of the processors. On a busy machine a compiler, which has a lower priority than the server, takes
/// longer than this.
fn processor_time_of_children() -> Duration {
    /// `USER_HZ`, which Linux has fixed.
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program may have spaces, and ends with the last parenthesis. Then come the state and 12 others.
    let fields = stat.rsplit_once(')').unwrap().1;
    let times = fields.split_whitespace().skip(13).take(2);
    let ticks: u64 = times.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Bytes of the files in a folder.
pub fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}
