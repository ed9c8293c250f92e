import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { ROOT } from './planted-tree.js';

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      {
        readonly image?: string;
        readonly command?: readonly string[];
        readonly ports?: readonly string[];
        readonly environment?: Readonly<Record<string, string>>;
        readonly profiles?: readonly string[];
        readonly volumes?: readonly string[];
        readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
      }
    >
  >;
}

const text = (...path: string[]): string => readFileSync(join(ROOT, ...path), 'utf8');
const json = <Shape>(...path: string[]): Shape => JSON.parse(text(...path)) as Shape;

const composeText = text('docker-compose.yml');
const compose = parse(composeText, { merge: true }) as Compose;
const apps = readdirSync(join(ROOT, 'apps')).filter((name) => existsSync(join(ROOT, 'apps', name, 'main.ts')));

/** The formats that the specification names in its schema and describes in its text. */
const COMPOSE_FORMATS = {
  duration: /^(\d+(us|ms|s|m|h))+$/,
  expose: /^\d+(-\d+)?(\/[a-z]+)?$/,
  ports: /^[\w.:${}\-[\]]+(\/[a-z]+)?$/,
  subnet_ip_address: true,
} as const;

function composeProblems(file: unknown): string[] {
  const ajv = new Ajv({ strict: false, allErrors: true, formats: COMPOSE_FORMATS });
  // the schema is draft 7 and names it by an address of its own
  const { $schema: _, ...schema } = json<Record<string, unknown>>(
    'node_modules',
    'dclint',
    'schemas',
    'compose.schema.json',
  );
  const validate = ajv.compile(schema);
  return validate(file)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
}

describe('docker-compose.yml', () => {
  it('follows the compose specification', () => {
    expect(composeProblems(compose)).toEqual([]);
  });

  it('would be refused with a field that the specification does not know', () => {
    const mistyped = parse(composeText.replace('healthcheck:', 'healtcheck:'), { merge: true }) as unknown;
    expect(composeProblems(mistyped)).not.toEqual([]);
  });

  it('opens ports on this machine only', () => {
    const ports = Object.values(compose.services).flatMap((service) => service.ports ?? []);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    expect(ports).not.toEqual([]);
  });

  it('runs every app', () => {
    const run = Object.values(compose.services).flatMap(
      ({ command }) => /^dist\/apps\/(\w+)\/main\.js$/.exec(command?.[0] ?? '')?.[1] ?? [],
    );
    expect([...new Set(run)].sort()).toEqual([...apps].sort());
  });

  it('gives the database password to no service that needs no database', () => {
    expect(Object.keys(compose.services['boundary']?.environment ?? {})).not.toContain('DATABASE_URL');
  });

  it('sets Kafka up as the start-up without Docker does', () => {
    const settings = text('tools', 'backends', 'kafka', 'server.properties')
      .split('\n')
      .filter((line) => /^(offsets|transaction|share|group|auto|process)\./.test(line))
      .map((line) => line.split('=') as [string, string])
      .map(([name, value]) => [`KAFKA_${name.toUpperCase().replaceAll('.', '_')}`, value]);
    expect(settings.length).toBeGreaterThan(8);
    expect(compose.services['kafka']?.environment).toMatchObject(
      Object.fromEntries(settings) as Record<string, string>,
    );
  });

  it('runs the same Kafka as the start-up without Docker', () => {
    const version = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([\d.]+)</.exec(
      text('tools', 'backends', 'kafka', 'pom.xml'),
    )?.[1];
    expect(compose.services['kafka']?.image).toBe(`apache/kafka:${String(version)}`);
  });

  it('pins the version of every image', () => {
    const images = Object.values(compose.services).flatMap(({ image }) => image ?? []);
    expect(images.filter((image) => !/:(v?\d+(\.\d+)*|local)$/.test(image))).toEqual([]);
  });

  it('runs the Prometheus that the rules and dashboards are tested with', () => {
    const version = /version: 'v0\.(\d)(\d+)\.(\d+)'/.exec(text('tools', 'backends', 'prometheus.mjs'));
    expect(compose.services['prometheus']?.image).toBe(`prom/prometheus:v${(version ?? []).slice(1).join('.')}`);
  });

  it('runs the Jaeger that traces are tested with, also as the collector', () => {
    // 1.63 and 2.0 were the same release, and so on
    const [, minor, patch] = /version: 'v1\.(\d+)\.(\d+)'/.exec(text('tools', 'backends', 'jaeger.mjs')) ?? [];
    const image = `jaegertracing/jaeger:2.${String(Number(minor) - 63)}.${String(patch)}`;
    expect([compose.services['jaeger']?.image, compose.services['collector']?.image]).toEqual([image, image]);
  });

  it('knows when each of its own services is well', () => {
    const unknown = Object.entries(compose.services).filter(
      ([, { image, healthcheck }]) => image !== 'remit:local' && healthcheck?.test === undefined,
    );
    expect(unknown.map(([name]) => name)).toEqual([]);
  });

  it('mounts only files that are there', () => {
    const mounted = Object.values(compose.services)
      .flatMap(({ volumes }) => volumes ?? [])
      .flatMap((volume) => /^\.\/([^:]+):/.exec(volume)?.[1] ?? []);
    expect(mounted).toContain('deploy/prometheus');
    expect(mounted.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('sends traces to Jaeger, and lets a collector stand in between', () => {
    const endpoints = Object.values(compose.services).flatMap(
      ({ environment }) => environment?.['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? [],
    );
    expect(new Set(endpoints)).toEqual(new Set(['${REMIT_OTLP_ENDPOINT:-http://jaeger:4318}']));
  });

  it('has Prometheus scrape every process of Remit', () => {
    const { scrape_configs: jobs } = parse(text('deploy', 'prometheus', 'prometheus.yml')) as {
      scrape_configs: { dns_sd_configs: { names: string[] }[] }[];
    };
    const scraped = jobs.flatMap(({ dns_sd_configs: configs }) => configs.flatMap(({ names }) => names));
    expect(scraped.sort()).toEqual(apps.filter((name) => name !== 'cli').sort());
  });
});

describe('the image', () => {
  const dockerfile = text('Dockerfile');

  it('runs the major version of Node that is tested', () => {
    const tested = json<{ devDependencies: { node: string } }>('package.json').devDependencies.node.split('.')[0];
    const bases = [...dockerfile.matchAll(/^FROM node:(\d+)/gm)].map((match) => match[1]);
    expect(bases).toEqual([tested, tested]);
  });

  it('does not run as root', () => {
    expect(dockerfile).toMatch(/^USER node$/m);
  });
});

describe('nest-cli.json', () => {
  const { projects } = json<{ projects: Record<string, { root: string; sourceRoot: string; entryFile: string }> }>(
    'nest-cli.json',
  );

  it('lists every app and nothing else', () => {
    expect(Object.keys(projects).sort()).toEqual([...apps].sort());
  });

  it.each(Object.entries(projects))('finds the entry of %s', (name, { root, sourceRoot, entryFile }) => {
    expect([root, sourceRoot]).toEqual([`apps/${name}`, `apps/${name}`]);
    expect(existsSync(join(ROOT, sourceRoot, `${entryFile}.ts`))).toBe(true);
  });
});

describe('package-lock.json', () => {
  it('names no registry, so that packages come from the one the installer trusts', () => {
    expect(text('package-lock.json')).not.toContain('"resolved"');
  });

  it('holds every package of every platform, else a clean installation is refused', () => {
    const { packages } = json<{ packages: Record<string, { optionalDependencies?: Record<string, string> }> }>(
      'package-lock.json',
    );
    const held = new Set(Object.keys(packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 13)));
    const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
    expect(wanted.filter((name) => !held.has(name))).toEqual([]);
  });

  it('pins the content of every package', () => {
    const { packages } = json<{ packages: Record<string, { integrity?: string; link?: boolean }> }>(
      'package-lock.json',
    );
    const unpinned = Object.entries(packages).filter(([path, entry]) => path !== '' && entry.integrity === undefined);
    expect(unpinned.map(([path]) => path)).toEqual([]);
  });
});

describe('package.json', () => {
  const { imports } = json<{ imports: Record<string, { types: string; default: string }> }>('package.json');

  it('has one door for every lib', () => {
    const libs = readdirSync(join(ROOT, 'libs')).filter((name) => existsSync(join(ROOT, 'libs', name, 'index.ts')));
    const doors = Object.fromEntries(
      libs.map((lib) => [`#${lib}`, { types: `./libs/${lib}/index.ts`, default: `./dist/libs/${lib}/index.js` }]),
    );
    expect(imports).toEqual(doors);
  });
});
