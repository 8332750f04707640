"""Python fastmcp calls a tool. Arguments: address, era (auto or legacy), tool, arguments as JSON; the token is the first line
on standard input. Each link that its user is asked to open is a line {"open": …} on standard output, after which it waits for a
line; the last line is {"result": …} or {"error": …}."""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.elicitation import ElicitResult
from mcp.shared.exceptions import MCPError, UrlElicitationRequiredError


def say(message):
    print(json.dumps(message), flush=True)


async def hear():
    return (await asyncio.to_thread(sys.stdin.readline)).strip()


async def opened(url):
    say({"open": url})
    return await hear()


async def elicit(message, response_type, params, context):
    return ElicitResult(action=await opened(params.url))


async def main():
    address, era, tool, arguments = sys.argv[1:]
    token = await hear()
    client = Client(address, auth=BearerAuth(token), mode=era, elicitation_handler=elicit)
    async with client:
        call = lambda: client.call_tool(tool, json.loads(arguments), raise_on_error=False)
        try:
            result = await call()
        except MCPError as error:
            # The way of 2025-11-25: open every link, then call again.
            if error.error.code != -32042:
                raise
            for one in UrlElicitationRequiredError.from_error(error.error).elicitations:
                await opened(one.url)
            result = await call()
        text = " ".join(block.text for block in result.content if block.type == "text")
        say({"result": {"failed": result.is_error, "found": result.structured_content, "text": text}})


try:
    asyncio.run(main())
except MCPError as error:
    say({"error": {"code": error.error.code, "message": error.error.message}})
