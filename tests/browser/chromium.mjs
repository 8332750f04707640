// Drives Chromium for the tests: a JSON command a line on standard input, its JSON answer a line on standard output.
// Tabs and profiles go by number. Elements are found as assistive technology finds them: by role and name.
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { judge } from './judge.mjs';

const PATIENCE = 60_000; // milliseconds for anything to appear on a busy machine

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
});
const profiles = [];
const tabs = [];
const complaints = [];

// What the content security policy or a mistake of a page's own makes the browser say.
const isComplaint = (text) => /Content Security Policy|Refused to/.test(text);

const watch = (page) => {
  page.on('console', (message) => isComplaint(message.text()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  return tabs.push(page) - 1;
};

const button = (page, { role, name }) => page.getByRole(role, { name, exact: true });

/** What somebody sees; never the query, which may carry a code. */
const look = async (page) => ({
  url: page.url(),
  title: await page.title(),
  heading: await page.locator('h1').first().innerText(),
  text: (await page.locator('body').innerText()).replace(/\s+/g, ' '),
});

const commands = {
  profile: async ({ options }) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(PATIENCE);
    return { profile: profiles.push(context) - 1 };
  },
  tab: async ({ profile }) => ({ tab: watch(await profiles[profile].newPage()) }),
  open: async ({ tab, url }) => {
    const response = await tabs[tab].goto(url);
    return { status: response?.status() ?? 0, ...(await look(tabs[tab])) };
  },
  sees: async ({ tab, heading }) => {
    await tabs[tab].getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
    await tabs[tab].waitForLoadState('load');
    return look(tabs[tab]);
  },
  settles: async ({ tab, headings }) => {
    const page = tabs[tab];
    await page.waitForLoadState('networkidle');
    await page.locator('h1').filter({ hasText: new RegExp(`^(${headings.join('|')})$`) }).waitFor();
    return look(page);
  },
  reads: async ({ tab, text }) => {
    await tabs[tab].locator('main', { hasText: text }).waitFor();
    return look(tabs[tab]);
  },
  look: ({ tab }) => look(tabs[tab]),
  press: async ({ tab, times, ...named }) => {
    await button(tabs[tab], named).click({ clickCount: times ?? 1, noWaitAfter: true });
    return {};
  },
  has: async ({ tab, ...named }) => ({ count: await button(tabs[tab], named).count() }),
  fill: async ({ tab, label, value }) => {
    await tabs[tab].getByLabel(label, { exact: true }).fill(value);
    return {};
  },
  choose: async ({ tab, label }) => {
    await tabs[tab].getByLabel(label, { exact: true }).check();
    return {};
  },
  post: async ({ tab, url, fields }) => {
    await tabs[tab].evaluate(([action, pairs]) => {
      const form = Object.assign(document.createElement('form'), { method: 'post', action });
      for (const [name, value] of pairs) form.append(Object.assign(document.createElement('input'), { name, value }));
      document.body.append(form);
      form.submit();
    }, [url, fields]);
    return {};
  },
  go: async ({ tab, where }) => {
    const moves = { back: 'goBack', forward: 'goForward', reload: 'reload' };
    const response = await tabs[tab][moves[where]]();
    return { status: response?.status() ?? 0, ...(await look(tabs[tab])) };
  },
  key: async ({ tab, key }) => {
    await tabs[tab].keyboard.press(key, { noWaitAfter: true });
    return {};
  },
  type: async ({ tab, text }) => {
    await tabs[tab].keyboard.type(text);
    return {};
  },
  /** What has the keyboard's focus, and whether one can see that. */
  focus: ({ tab }) =>
    tabs[tab].evaluate(() => {
      const at = document.activeElement;
      const label = at.labels?.[0]?.innerText ?? at.getAttribute('aria-label') ?? at.innerText;
      const { outlineStyle, outlineWidth } = getComputedStyle(at);
      const rings = outlineStyle !== 'none' && parseFloat(outlineWidth) > 0;
      return { tag: at.tagName.toLowerCase(), name: label.replace(/\s+/g, ' ').trim(), rings };
    }),
  /** From now on whatever begins with `prefix` answers this profile with nothing, at which a browser stays where it is. */
  silence: async ({ profile, prefix }) => {
    await profiles[profile].route((url) => url.href.startsWith(prefix), (route) => route.fulfill({ status: 204 }));
    return {};
  },
  unsilence: async ({ profile }) => {
    await profiles[profile].unrouteAll();
    return {};
  },
  /** Presses, and answers where the server would have led instead of going there. */
  intercept: async ({ tab, prefix, ...named }) => {
    const page = tabs[tab];
    const led = new Promise((resolve, reject) => {
      page.route((url) => url.href.startsWith(prefix), async (route) => {
        try {
          const answer = await route.fetch({ maxRedirects: 0 });
          resolve(answer.headers().location ?? null);
          await route.fulfill({ status: 204 });
        } catch (error) {
          reject(error);
        }
      });
    });
    await button(page, named).click({ noWaitAfter: true });
    const location = await led;
    await page.unrouteAll();
    return { location };
  },
  forget: async ({ profile, cookie }) => {
    await profiles[profile].clearCookies({ name: cookie });
    return {};
  },
  cookies: async ({ profile, url }) => ({ cookies: await profiles[profile].cookies(url) }),
  judge: async ({ tab, directory, name }) => ({ faults: await judge(tabs[tab], directory, name) }),
  end: async () => {
    await browser.close();
    return { complaints };
  },
};

const where = async (tab) => {
  if (tab === undefined) return '';
  const { url, heading, text } = await look(tabs[tab]);
  return ` on ${url.split('?')[0]} "${heading}": ${text}`;
};

const answer = async ({ command, ...given }) => {
  try {
    return await commands[command](given);
  } catch (error) {
    const place = await where(given.tab).catch(() => '');
    return { error: `${command} ${JSON.stringify(given)}${place}: ${error.message}` };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await answer(command))}\n`);
  if (command.command === 'end') break;
}
await browser.close();
process.exit(0);
