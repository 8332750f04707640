//! Compiles `broker/v1/*.proto` with protox: no protoc is needed.
//!
//! A message with a field marked `debug_redact` gets its `Debug` written here instead of by prost, which would print the
//! field. The mark in the proto file is thereby the only place where a secret is named.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use protox::prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};

const FILES: [&str; 6] = ["admin", "audit", "common", "connection", "consent", "grant"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=broker");
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(FILES.map(|name| format!("broker/v1/{name}.proto")))?;

    std::fs::write(out.join("broker.v1.descriptor.bin"), compiler.encode_file_descriptor_set())?;
    let redacted = redacted_messages(&compiler.descriptor_pool());
    write_debug(&out.join("broker.v1.debug.rs"), &redacted)?;
    tonic_prost_build::configure()
        .skip_debug(redacted.iter().map(|message| format!(".{}", message.full_name())))
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn redacted_messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    pool.all_messages()
        .filter(|message| {
            message.package_name() == "broker.v1" && message.fields().any(|field| is_redacted(&field))
        })
        .collect()
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    let options = field.options();
    options.get_field_by_name("debug_redact").and_then(|value| value.as_bool()).unwrap_or(false)
}

/// Supports what the contract uses, plain fields of top-level messages, and fails the build on anything else: a redacted
/// field inside a `oneof` would need its enum's `Debug` written as well.
fn write_debug(path: &Path, messages: &[MessageDescriptor]) -> Result<(), Box<dyn Error>> {
    let mut code = String::new();
    for message in messages {
        if message.parent_message().is_some() || message.oneofs().any(|oneof| !oneof.is_synthetic()) {
            return Err(format!(
                "{}: debug_redact needs a top-level message without oneof",
                message.full_name()
            )
            .into());
        }
        let name = message.name();
        writeln!(code, "impl ::core::fmt::Debug for {name} {{")?;
        writeln!(code, "    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{")?;
        writeln!(code, "        f.debug_struct({name:?})")?;
        for field in message.fields() {
            let field_name = field.name();
            if is_redacted(&field) {
                writeln!(code, "            .field({field_name:?}, &crate::Redacted)")?;
            } else {
                writeln!(code, "            .field({field_name:?}, &self.{field_name})")?;
            }
        }
        writeln!(code, "            .finish()\n    }}\n}}")?;
    }
    std::fs::write(path, code)?;
    Ok(())
}
