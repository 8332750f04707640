//! The chart and the image: what the real Helm makes of the chart, that Kubernetes would take it, and that the binary does what it says.

mod agreement;
mod configuration;
mod documents;
mod driver;
mod golden;
mod grant;
mod image;
mod kinds;
mod kubelet;
mod lifecycle;
mod refusals;
mod rendered;
