// How a client of these tests talks with its test: the token is the first line on standard input; each link its user is asked to
// open is a line {"open": …} on standard output, after which it waits for a line; the last line is {"result": …} or {"error": …}.
import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export const hear = async () => (await lines.next()).value.trim();

export const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

/** Answers the action: what the user said to opening the link. */
export const opened = async (url) => {
  say({ open: url });
  return hear();
};

/** What the tool answered. */
export const told = ({ isError, structuredContent, content }) => {
  const text = content.filter(({ type }) => type === 'text').map(({ text }) => text);
  say({ result: { failed: isError === true, found: structuredContent ?? null, text: text.join(' ') } });
};

/** Runs `work` and ends the process, whatever connections are open. */
export const converse = async (work) => {
  try {
    await work();
  } catch (error) {
    say({ error: { code: error.code ?? null, message: String(error.message) } });
  }
  process.exit(0);
};
