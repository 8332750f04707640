//! What else the machine is at: a figure from a busy one misleads.

/// More than this share of the cores at work for others is too much.
const QUIET: f64 = 0.25;

/// How many threads ran or waited for a core or a disk, on average over the last minute; `None` where the system does not tell.
pub fn load_average() -> Option<f64> {
    first(&std::fs::read_to_string("/proc/loadavg").ok()?)
}

fn first(line: &str) -> Option<f64> {
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// What to tell whoever measures on a machine with this load.
pub fn warning(load: f64, cores: usize) -> Option<String> {
    let busy = load > QUIET * cores as f64;
    busy.then(|| {
        format!(
            "the machine was busy before anything was measured (load average {load:.2} on {cores} cores): \
             its figures mislead, and goals mean nothing"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_busy_when_a_quarter_of_its_cores_is() {
        assert_eq!(first("0.51 2.00 3.10 3/97 13105\n"), Some(0.51));
        assert_eq!(first(""), None);
        assert!(warning(0.5, 2).is_none());
        assert!(warning(0.51, 2).is_some_and(|text| text.contains("0.51 on 2 cores")));
    }
}
