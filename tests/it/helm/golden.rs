//! What a matrix of values renders to is committed beside them, to be read in review: `UPDATE_GOLDEN=1` renews it.

use serde_json::Value;
use tokio::sync::OnceCell;

use super::driver::{live, repository, step, values};
use super::rendered::Rendered;

const MATRIX: [(&str, &str); 6] = [
    ("postgresql", "helm/broker/ci/postgresql-values.yaml"),
    ("sqlite", "helm/broker/ci/sqlite-values.yaml"),
    ("bare", "tests/it/helm/matrix/bare.yaml"),
    ("mesh", "tests/it/helm/matrix/mesh.yaml"),
    ("scaled", "tests/it/helm/matrix/scaled.yaml"),
    ("volume", "tests/it/helm/matrix/volume.yaml"),
];

/// A row of the matrix: its name, its text and its objects.
pub struct Row {
    pub name: &'static str,
    pub text: String,
    pub rendered: Rendered,
}

/// Helm takes its time, so the tests of this process share what it made; nobody changes it.
static ROWS: OnceCell<Vec<Row>> = OnceCell::const_new();

/// All of them.
pub async fn rows() -> &'static [Row] {
    ROWS.get_or_init(installed).await
}

async fn installed() -> Vec<Row> {
    let mut steps: Vec<Value> = Vec::new();
    for (_, file) in MATRIX {
        let values = values(file).await;
        steps.extend([step("install", &values), step("uninstall", &values)]);
    }
    let life = live(steps, &[]).await;
    let installed = life.steps.iter().step_by(2);
    MATRIX
        .iter()
        .zip(installed)
        .map(|((name, _), done)| Row {
            name,
            text: done.worked().text().to_owned(),
            rendered: done.rendered(),
        })
        .collect()
}

/// Proves: OP1
#[tokio::test]
async fn op1_every_row_of_the_matrix_renders_as_committed() {
    let mut stale = Vec::new();
    for row in rows().await {
        let file = repository().join(format!("tests/it/helm/matrix/{}.golden", row.name));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &row.text).expect("written");
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        if let Some(line) = first_difference(&committed, &row.text) {
            stale.push(format!("{}: {line}", file.display()));
        }
    }
    assert!(stale.is_empty(), "run with UPDATE_GOLDEN=1 and read the difference:\n{}", stale.join("\n"));
}

fn first_difference(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let lines = old.lines().zip(new.lines()).enumerate().find(|(_, (a, b))| a != b);
    Some(
        lines
            .map_or("another length".to_owned(), |(n, (a, b))| format!("line {}: {a:?} is now {b:?}", n + 1)),
    )
}
