//! What is written down about the chart is current: the table of its README, its schema, its alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use broker_tests::process::run;

use super::configuration::cluster;
use super::driver::{install, python, repository, values};
use super::kubelet::mount;
use super::rendered::write;

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Proves: OP1
#[test]
fn op1_the_table_of_values_and_their_schema_are_current() {
    let mut check = Command::new(python());
    check.args(["helm/document.py", "--check"]).current_dir(repository()).env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = check.output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// The chart is released with the broker.
#[tokio::test]
async fn the_chart_installs_the_version_it_lies_beside() {
    let chart = values("helm/broker/Chart.yaml").await;
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
}

/// Every metric with its labels, as docs/metrics.md has them, under the names that Prometheus stores.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for row in read("docs/metrics.md").lines().filter(|line| line.starts_with("| `broker_")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`');
        let mut labels: BTreeSet<String> =
            cells[2].split(',').map(|label| label.trim().trim_matches('`').to_owned()).collect();
        labels.remove("");
        let samples: &[&str] = match cells[1] {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        for sample in samples {
            let mut labels = labels.clone();
            labels.extend(["namespace", "job", "le"].map(str::to_owned));
            found.insert(format!("{name}{sample}"), labels);
        }
    }
    found
}

fn words(text: &str) -> BTreeSet<String> {
    let cut = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    cut.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The labels an expression groups by or compares.
fn labels(expression: &str) -> BTreeSet<String> {
    let groups = expression.split(" by (").skip(1).filter_map(|rest| rest.split(')').next());
    let matchers = expression.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let matchers = matchers.flat_map(|list| list.split(',')).filter_map(|one| one.split(['=', '!']).next());
    groups.flat_map(words).chain(matchers.map(|label| label.trim().to_owned())).collect()
}

/// Proves: OP1
#[tokio::test]
async fn op1_alerts_speak_of_metrics_and_labels_that_exist() {
    let metrics = metrics();
    assert!(metrics.len() > 20, "docs/metrics.md was not understood: {metrics:?}");
    let alerts = values("helm/broker/files/alerts.yaml").await;
    let rules = alerts["groups"][0]["rules"].as_array().expect("rules");
    assert!(rules.len() > 7);
    let mut names = BTreeSet::new();
    for rule in rules {
        let name = rule["alert"].as_str().expect("a name");
        assert!(names.insert(name), "{name} twice");
        let expression = rule["expr"].as_str().expect("an expression");
        let used: Vec<String> =
            words(expression).into_iter().filter(|word| word.starts_with("broker_")).collect();
        assert!(!used.is_empty(), "{name}");
        for metric in used {
            let known = metrics.get(&metric).unwrap_or_else(|| panic!("{name}: there is no {metric}"));
            let strange: Vec<String> = labels(expression).difference(known).cloned().collect();
            assert!(strange.is_empty(), "{name}: {metric} has no {strange:?}");
        }
        for key in ["summary", "description"] {
            assert!(
                rule["annotations"][key].as_str().is_some_and(|text| text.ends_with('.')),
                "{name}: {key}"
            );
        }
        assert!(
            ["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap_or_default()),
            "{name}"
        );
        assert_eq!(expression.matches('(').count(), expression.matches(')').count(), "{name}");
        assert!(
            read("docs/operating.md").contains(&format!("`{name}`")),
            "{name} is not in docs/operating.md"
        );
    }
}

/// Proves: OP1
#[tokio::test]
async fn op1_the_values_of_the_guide_install_and_their_configuration_is_in_order() {
    let guide = read("docs/operating.md");
    let block = guide.split("<!-- values -->\n```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("values.yaml"), block.expect("the values")).expect("written");
    let values = values(&directory.path().join("values.yaml").display().to_string()).await;
    let rendered = install(&values).await.rendered();
    let mut cluster = cluster();
    cluster.secret("broker-github", "client-secret", "for the check only");
    mount(directory.path(), &rendered, rendered.pod(), &cluster);
    let here = format!("{}/etc/broker", directory.path().display());
    write(directory.path(), "broker.yaml", &rendered.config().replace("/etc/broker", &here));
    let ran = run(directory.path(), &["config", "check", "--config", "broker.yaml"]).await;
    assert!(ran.code == 0 && !ran.stdout.contains("warning"), "{ran:?}");
    // What it says of other values is what they are called.
    let told = guide.split('`').skip(1).step_by(2).filter(|word| is_value(word));
    let known = std::fs::read_to_string(repository().join("helm/broker/README.md")).expect("the table");
    let lost: Vec<&str> = told.filter(|word| !known.contains(&format!("| `{word}` |"))).collect();
    assert_eq!(lost, Vec::<&str>::new());
}

/// Whether a word of the guide names a value of the chart's own.
fn is_value(word: &str) -> bool {
    let tops = ["clusterIssuer.", "database.", "metrics.", "migrations.", "networkPolicy.", "shutdown."];
    tops.iter().any(|top| word.starts_with(top)) && !word.contains(':')
}
