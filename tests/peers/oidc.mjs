// A certified OpenID provider (oidc-provider) on a free loopback port. The tests use it in two roles: the company's
// identity provider, and a downstream authorization server with rotating refresh tokens.
//
// The first line on standard input is the configuration (JSON, see `defaults` below; `clients` in the form of
// RFC 7591). The first line on standard output says where it listens: {"issuer", "control", "pid"}. It ends when
// standard input closes, so a test that dies leaves nothing behind.
//
// The control address takes faults and tells the truth about what happened:
//   POST /faults   [{on, kind, …}]  queued; each is used up by one request to that endpoint (`on`: see `endpoints`)
//        kind "respond"     {status, headers, body}  answers in the provider's place; the request is not processed
//        kind "rewrite"     {set, drop}              processes the request, then edits the JSON answer
//        kind "lose_reply"  processes the request, then closes the connection without an answer
//        kind "hold"        processes the request only after POST /release
//        kind "hold_reply"  processes the request, then answers only after POST /release
//   POST /release             lets every held request go on
//   GET  /held?at_least=N     answers when N requests are held
//   POST /rotate {keep_old}   a new signing key of each kind; the old ones stay published or disappear at once
//   GET  /log                 every request to the endpoints in order of arrival
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import * as querystring from 'node:querystring';
import { exportJWK, generateKeyPair } from 'jose';

// The library prints advice for production set-ups; standard output carries one line only.
console.info = console.warn = () => {};
const { default: Provider } = await import('oidc-provider');

const endpoints = {
  '/token': 'token',
  '/token/revocation': 'revocation',
  '/token/introspection': 'introspection',
  '/me': 'userinfo',
  '/jwks': 'jwks',
  '/.well-known/openid-configuration': 'discovery',
};
const defaults = {
  clients: [],
  ttl: {}, // seconds, by oidc-provider's model names: AccessToken, IdToken, RefreshToken, …
  rotate: true, // every refresh answers a new refresh token and ends the old one
  accounts: { // login_age: seconds since the person last typed a password
    alice: { name: 'Alice', preferred_username: 'alice', email: 'alice@example.test', roles: ['engineer'], acr: 'mfa', login_age: 0 },
    bob: { name: 'Bob', preferred_username: 'bob', email: 'bob@example.test', roles: ['analyst'], acr: 'pwd', login_age: 0 },
  },
};

const lines = createInterface({ input: process.stdin });
lines.on('close', () => process.exit(0));
const configuration = await new Promise((resolve) => { lines.once('line', resolve); });
const config = { ...defaults, ...JSON.parse(configuration) };

const faults = [];
const log = [];
const held = new Set();
const onHeld = new Set();
let clock = 0; // orders starts and ends without trusting wall time

async function newKeys() {
  const jwk = async (alg, kid) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return { ...await exportJWK(privateKey), alg, use: 'sig', kid };
  };
  const suffix = randomBytes(4).toString('hex');
  return Promise.all([jwk('ES256', `es-${suffix}`), jwk('RS256', `rs-${suffix}`)]);
}

const digest = (value) => value && createHash('sha256').update(value).digest('base64url');

async function readForm(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function basicClient(header) {
  if (!header?.startsWith('Basic ')) return undefined;
  const [id] = Buffer.from(header.slice(6), 'base64').toString().split(':');
  return decodeURIComponent(id.replaceAll('+', ' '));
}

function takeFault(endpoint, grantType) {
  const index = faults.findIndex((f) => (f.on ?? 'token') === endpoint && (!f.grant_type || f.grant_type === grantType));
  return index < 0 ? undefined : faults.splice(index, 1)[0];
}

function hold() {
  return new Promise((resolve) => {
    held.add(resolve);
    for (const check of onHeld) check();
  });
}

// Records the request, applies at most one fault, and hands on to the provider.
async function witness(ctx, next) {
  const endpoint = endpoints[ctx.path];
  if (!endpoint) return next();
  let form = {};
  if (ctx.method === 'POST') {
    ctx.req.body = await readForm(ctx.req);
    form = querystring.parse(ctx.req.body);
  }
  const fault = takeFault(endpoint, form.grant_type);
  const entry = {
    endpoint,
    grant_type: form.grant_type,
    client_id: basicClient(ctx.get('authorization')) ?? form.client_id,
    asked_scope: form.scope,
    presented: digest(form.refresh_token ?? form.token ?? form.code),
    fault: fault?.kind,
    processed: false,
    started: clock++,
  };
  log.push(entry);
  if (fault?.kind === 'hold') await hold();
  if (fault?.kind === 'respond') {
    ctx.status = fault.status;
    ctx.set(fault.headers ?? {});
    ctx.body = fault.body ?? '';
  } else {
    await next();
    entry.processed = true;
    entry.error = ctx.body?.error;
    entry.issued_access = digest(ctx.body?.access_token);
    entry.issued_refresh = digest(ctx.body?.refresh_token);
  }
  if (fault?.kind === 'hold_reply') await hold();
  if (fault?.kind === 'rewrite') {
    const body = { ...ctx.body, ...fault.set };
    for (const name of fault.drop ?? []) delete body[name];
    ctx.body = body;
  }
  entry.status = ctx.status;
  entry.scope = ctx.body?.scope;
  entry.finished = clock++;
  if (fault?.kind === 'lose_reply') {
    ctx.respond = false;
    ctx.res.destroy();
  }
}

function build(issuer, keys) {
  const port = new URL(issuer).port;
  const provider = new Provider(issuer, {
    clients: config.clients,
    jwks: { keys },
    // Cookies ignore ports: two peers on one host need names of their own.
    cookies: { keys: cookieKeys, names: { session: `_session_${port}`, interaction: `_interaction_${port}`, resume: `_resume_${port}` } },
    scopes: ['openid', 'offline_access', 'notes.read', 'notes.write'],
    acrValues: [...new Set(Object.values(config.accounts).map((a) => a.acr).filter(Boolean))],
    claims: {
      openid: ['sub', 'auth_time', 'acr', 'roles'],
      profile: ['name', 'preferred_username'],
      email: ['email'],
    },
    findAccount: (_ctx, id) => Object.hasOwn(config.accounts, id) && {
      accountId: id,
      claims: () => ({ ...config.accounts[id], sub: id }),
    },
    pkce: { required: () => true },
    rotateRefreshToken: config.rotate,
    ttl: { AccessToken: 3600, IdToken: 3600, RefreshToken: 86400, Grant: 86400, Session: 86400, Interaction: 600, ...config.ttl },
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256'] },
    features: {
      devInteractions: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      backchannelLogout: { enabled: true },
    },
    // The library refuses to call loopback addresses; here everybody lives on one.
    fetch: (url, { dispatcher: _guarded, ...options }) => fetch(url, options),
  });
  // The development forms know names only; what the login was worth comes from the configuration.
  const { prototype } = provider.Session;
  const { loginAccount } = prototype;
  prototype.loginAccount = function withStrength(details) {
    const { acr, login_age: age = 0 } = config.accounts[details.accountId] ?? {};
    loginAccount.call(this, { ...details, acr, loginTs: Math.floor(Date.now() / 1000) - age });
  };
  provider.on('server_error', (_ctx, error) => log.push({ endpoint: 'server_error', error: String(error?.stack ?? error), started: clock++ }));
  const told = (client, error) => log.push({
    endpoint: 'backchannel_logout', client_id: client.clientId, processed: !error, status: error?.response?.status ?? 200, error: error && String(error), started: clock++,
  });
  provider.on('backchannel.success', (_ctx, client) => told(client));
  provider.on('backchannel.error', (_ctx, error, client) => told(client, error));
  provider.use(witness);
  return provider.callback();
}

function listen(server) {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}

let handle;
let keys = await newKeys();
const cookieKeys = [randomBytes(32).toString('hex')];
const server = createServer((req, res) => handle(req, res));
const issuer = await listen(server);
handle = build(issuer, keys);

const commands = {
  'POST /faults': (body) => { faults.push(...body); },
  'POST /release': () => { for (const go of held) go(); held.clear(); },
  'GET /held': (_body, query) => new Promise((resolve) => {
    const check = () => {
      if (held.size < Number(query.get('at_least') ?? 1)) return;
      onHeld.delete(check);
      resolve();
    };
    onHeld.add(check);
    check();
  }),
  'POST /rotate': async ({ keep_old: keepOld = true }) => {
    const fresh = await newKeys();
    keys = keepOld ? [...fresh, ...keys] : fresh;
    handle = build(issuer, keys); // what was issued lives in the library's own memory store and stays valid
  },
  'GET /log': () => log,
};

const control = await listen(createServer(async (req, res) => {
  try {
    const { pathname, searchParams } = new URL(req.url, 'http://control');
    const command = commands[`${req.method} ${pathname}`];
    const text = await readForm(req);
    const answer = command ? await command(text ? JSON.parse(text) : {}, searchParams) : { error: 'unknown command' };
    res.writeHead(command ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
  } catch (error) {
    res.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error: String(error) }));
  }
}));

process.stdout.write(`${JSON.stringify({ issuer, control, pid: process.pid })}\n`);
