// Loaded before AWS's sample proxy, whose own code stays as it is: its port is fixed
// and on all interfaces, and its SDK asks the host "runtime-localhost".
'use strict';
const dns = require('node:dns');
const net = require('node:net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (options, ...others) {
  const there = { ...options, host: '127.0.0.1', port: Number(process.env.BENCH_PORT) };
  return listen.call(this, there, ...others);
};

const lookup = dns.lookup;
dns.lookup = function (host, ...others) {
  return lookup.call(this, host === 'runtime-localhost' ? '127.0.0.1' : host, ...others);
};
