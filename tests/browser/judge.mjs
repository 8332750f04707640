// Judges the page that is shown: axe-core, nothing wider than the screen, and a picture, at every width and in every scheme.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// WCAG up to 2.2 A and AA and axe's best practices; no rule is switched off.
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

const SCREENS = [{ width: 1280, height: 900 }, { width: 390, height: 844 }];

const inspect = async (page) => {
  // By the debugger: the pages' own policy lets no script in.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  return page.evaluate(async (tags) => {
    const { violations } = await axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] });
    const faults = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`);
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) faults.push(`${scrollWidth} px wide on a screen of ${clientWidth}`);
    return faults;
  }, TAGS);
};

/** What is wrong with the page; pictures go to `<directory>/<name>-<width>-<scheme>.png`. */
export const judge = async (page, directory, name) => {
  const [before, found] = [page.viewportSize(), []];
  for (const screen of SCREENS) {
    await page.setViewportSize(screen);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      const faults = await inspect(page);
      found.push(...faults.map((fault) => `${screen.width} ${colorScheme}: ${fault}`));
      await page.screenshot({ path: join(directory, `${name}-${screen.width}-${colorScheme}.png`), fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(before);
  return found;
};
