import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AMBIGUOUS_HOST, domainOf, hostsInText } from './addresses.js';

const hostsOf = (text: string): string[] => {
  const hosts = new Set<string>();
  hostsInText(text, hosts);
  return [...hosts];
};

describe('the host a text addresses', () => {
  it.each([
    ['https://api.bank.example/v1?x=1#y', 'api.bank.example'],
    ['HTTPS://API.Bank.Example', 'api.bank.example'],
    ['https://bank.example.:8443/', 'bank.example'],
    ['//cdn.bank.example/x', 'cdn.bank.example'],
    ['bank.example', 'bank.example'],
    ['bank.example:443/path', 'bank.example'],
    ['localhost:9092', 'localhost'],
    ['warehouse', 'warehouse'],
    ['Warehouse', 'warehouse'],
    ['jane.doe@bank.example', 'bank.example'],
    ['Jane Doe <jane@bank.example>', 'bank.example'],
    ['mailto:jane@bank.example', 'bank.example'],
    ['s3://exports/customers.csv', 'exports'],
    ['postgres://app:secret@db.internal:5432/crm', 'db.internal'],
    ['git@github.com:acme/repo.git', 'github.com'],
    ['http://[2001:db8::1]:8080/x', '2001:db8::1'],
    ['sip:bob@bank.example', 'bank.example'],
    ['bank.example:x@evil.example', 'evil.example'],
    ['\\\\files.corp\\share\\x', 'files.corp'],
    ['\\\\files.corp@SSL\\share\\x', 'files.corp'],
    ['sftp:files.corp', 'files.corp'],
    ['sftp:files.corp:22/in', 'files.corp'],
    ['smb:/files.corp/share', 'files.corp'],
  ])('reads %s as %s', (text, host) => {
    expect(domainOf(text)).toBe(host);
  });

  it.each([
    ['', 'nothing'],
    ['   ', 'blanks'],
    ['the customers of last month', 'free text'],
    ['C:\\exports\\x.csv', 'a directory'],
    ['urn:isbn:3161484100', 'a name without a host'],
    ['file:///etc/passwd', 'a file'],
  ])('finds no host in %j (%s)', (text) => {
    expect(domainOf(text)).toBe('');
  });

  it.each([
    ['https://bank.example@evil.example/', 'evil.example'],
    ['https://bank.example:443@evil.example', 'evil.example'],
    ['https://evil.example/bank.example', 'evil.example'],
    ['https://evil.example?bank.example', 'evil.example'],
    ['https://evil.example#@bank.example', 'evil.example'],
    ['https:evil.example', 'evil.example'],
    ['https:///evil.example', 'evil.example'],
    ['https://ｅｖｉｌ.example', 'evil.example'],
    ['https://bücher.example', 'xn--bcher-kva.example'],
    ['https://bаnk.example', 'xn--bnk-6cd.example'],
    ['http://0x7f.1/', '127.0.0.1'],
    ['http://2130706433/', '127.0.0.1'],
    ['https://evil。example/', 'evil.example'],
  ])('is not fooled by %s: the host is %s', (text, host) => {
    expect(domainOf(text)).toBe(host);
  });

  it.each([
    ['https://evil.example\\@bank.example'],
    ['https:\\\\evil.example'],
    ['https://bank.example\n.evil.example'],
    ['https://ba\tnk.example'],
    ['a@bank.example,b@evil.example'],
    ['a@bank.example, b@evil.example'],
    ['a@evil.example@bank.example'],
    ['mailto:a@bank.example?cc=b@evil.example'],
    ['mailto:a@bank.example,b@evil.example'],
    ['https://exa mple.com'],
    ['"https://bank.example"'],
    ['[bank.example]'],
    ['<https://bank.example/x>'],
    [`https://${'a.'.repeat(3000)}example`],
  ])('refuses %j, which two programs could read differently', (text) => {
    expect(domainOf(text)).toBeUndefined();
  });

  it('answers or refuses whatever the text, and an answer is its own host', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl(), fc.emailAddress()), (text) => {
        const host = domainOf(text);
        if (host === undefined) return;
        expect(host).toBe(host.toLowerCase());
        expect(host).not.toMatch(/[\s/@\\]/);
      }),
    );
  });
});

describe('links in parameters', () => {
  it.each([
    ['see https://evil.example/a?b and http://bank.example.', ['evil.example', 'bank.example']],
    ['send it to Jane <jane@evil.example>, please', ['evil.example']],
    ['curl -d @x api.evil.io/v1', ['api.evil.io']],
    ['[report](https://evil.example/x)', ['evil.example']],
    ['www.evil.agency', ['www.evil.agency']],
    ['POST 203.0.113.7:8080/x', ['203.0.113.7']],
    ['<img src="//evil.example/p.gif">', ['evil.example']],
    ['url=https://evil.example', ['evil.example']],
    ['https://bank.example\\@evil.example', [AMBIGUOUS_HOST, 'bank.example', 'evil.example']],
    [`${'x'.repeat(3_000)}https://evil.example`, [AMBIGUOUS_HOST]],
    ['http:/evil.example/x', ['evil.example']],
    ['see http:evil.example', ['evil.example']],
    ['http:///evil.example', ['evil.example']],
    ['url=https:/evil', ['evil']],
    ['![](http:/evil.example/p.png)', ['evil.example']],
    ['![p](//evil.agency/p.png "title")', ['evil.agency']],
    ['[report]: //evil.agency/x', ['evil.agency']],
    ['<img src=//evil.agency/p.gif>', ['evil.agency']],
    ['<a href="/\\\\evil.agency">', [AMBIGUOUS_HOST, 'evil.agency']],
    ['open \\\\evil.agency\\share\\x', ['evil.agency']],
    ['open \\\\evil.agency@SSL\\share', ['evil.agency']],
    ['https://good.example:x@evil.agency/', ['evil.agency']],
    ['<a href="ht\ntps://evil.\tagency/x">', ['evil', 'evil.agency']],
    ['https://ev\nil.agency', ['ev', 'evil.agency']],
    ['<a href="https&#58;&#x2F;&sol;evil.agency">', ['evil.agency']],
    ['https://evil。agency/', ['evil.agency']],
    ['http://0x7f.1/ and http://017700000001/', ['127.0.0.1']],
    ['https://EVIL.agency./x', ['evil.agency']],
    ...[',', ';', '(', '{', '[', '|', "'", '"', '<', '`'].map((sign): [string, string[]] => [
      `see https://www.good.example${sign}@evil.club/x`,
      ['evil.club', 'www.good.example'],
    ]),
    ['https://good.example,@intranet/', ['intranet', 'good.example']],
    ['https:good.example,@intranet', ['intranet', 'good.example']],
    ['//good.example,@3232235777/', ['192.168.1.1', 'good.example']],
    ['https://good.example,@[2001:db8::1]/', ['2001:db8::1', 'good.example']],
    ['<a href="https://good.example,@evil.club">x</a>', ['evil.club', 'good.example']],
    ['http://[2001:db8::1]/x', ['2001:db8::1']],
    ['[x](//[2001:DB8::1]:8080/x)', ['2001:db8::1']],
    ['http:[::1] and ftp://ann@[::2]/', ['::1', '::2', AMBIGUOUS_HOST]],
    ['mailto:a@good.example?bcc=b@evil.agency', [AMBIGUOUS_HOST, 'evil.agency', 'good.example']],
  ])('finds the hosts in %j', (text, hosts) => {
    expect(hostsOf(text)).toEqual(hosts);
  });

  it.each([
    ['select c.email from crm.customers as c'],
    ['report.csv and index.html, v1.2.3'],
    ['process.env.HOME at 12:30, 3.14'],
    ['e.g. this. And that.'],
    ['http:get and ftp: or C:\\Users\\ann'],
    ['a//b and x=1;y=2 & z'],
    ['\\d+\\s* matches'],
    ['a/[12:30] and x@[list] or {"a":[1]}'],
    ['ping @ann,@bob: https or //,@'],
  ])('takes no part of %j for a link', (text) => {
    expect(hostsOf(text)).toEqual([]);
  });
});

describe('hostile text', () => {
  it('costs time in proportion to its length, whatever it repeats', () => {
    for (const piece of [
      'http:',
      'a:',
      '//',
      '\\\\',
      '&#',
      '="',
      'x@',
      '[',
      '"',
      '.',
      'a.',
      '&#104;',
      '\n"=',
      '//,@',
      'http:,@a',
      '@[::1]',
      '/[::',
    ]) {
      const found = new Set<string>();
      hostsInText(piece.repeat(64_000 / piece.length), found);
      expect(found.size).toBeLessThan(64_000);
      domainOf(piece.repeat(1_000));
    }
  });
});
