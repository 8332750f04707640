//! Real MCP clients call the tools of `examples/mcp-server`, are asked for their user's consent in the way they understand, and
//! get their own user's result.

mod binary;
mod clients;
mod composite;
mod requests;
mod sessions;
