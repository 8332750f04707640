// TypeScript SDK 2.x calls a tool. Arguments: address, era (auto or legacy), tool, arguments as JSON.
import { Client, StreamableHTTPClientTransport, UrlElicitationRequiredError } from '@modelcontextprotocol/client';
import { converse, hear, opened, told } from './conversation.mjs';

const [address, mode, name, parameters] = process.argv.slice(2);

converse(async () => {
  const token = await hear();
  const capabilities = { elicitation: { form: {}, url: {} } };
  const client = new Client({ name: 'sdk2', version: '2' }, { capabilities, versionNegotiation: { mode } });
  client.setRequestHandler('elicitation/create', async ({ params }) => ({ action: await opened(params.url) }));
  const transport = new StreamableHTTPClientTransport(new URL(address), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  });
  await client.connect(transport);
  const call = () => client.callTool({ name, arguments: JSON.parse(parameters) });
  try {
    told(await call());
  } catch (error) {
    // The way of 2025-11-25: open every link, then call again.
    if (!(error instanceof UrlElicitationRequiredError)) throw error;
    for (const { url } of error.elicitations) await opened(url);
    told(await call());
  }
});
