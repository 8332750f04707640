// TypeScript SDK 1.x calls a tool. Arguments: address, tool, arguments as JSON.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitationCompleteNotificationSchema, UrlElicitationRequiredError } from '@modelcontextprotocol/sdk/types.js';
import { converse, hear, opened, told } from './conversation.mjs';

const [address, name, parameters] = process.argv.slice(2);

converse(async () => {
  const token = await hear();
  const client = new Client({ name: 'sdk1', version: '1' }, { capabilities: { elicitation: { form: {}, url: {} } } });
  const complete = new Set();
  let wake = () => {};
  client.setNotificationHandler(ElicitationCompleteNotificationSchema, ({ params }) => {
    complete.add(params.elicitationId);
    wake();
  });
  const transport = new StreamableHTTPClientTransport(new URL(address), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  });
  await client.connect(transport);
  const call = () => client.callTool({ name, arguments: JSON.parse(parameters) });
  try {
    told(await call());
  } catch (error) {
    if (!(error instanceof UrlElicitationRequiredError)) throw error;
    for (const { url, elicitationId } of error.elicitations) {
      await opened(url);
      // The server says when it is over.
      while (!complete.has(elicitationId)) await new Promise((resolve) => { wake = resolve; });
    }
    told(await call());
  }
});
