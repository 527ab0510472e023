// Words in the reader's language, and numbers as he writes them.

const KEY = "sluicegate-language";

// Each line: key, English, Chinese. A number in braces is a parameter.
const WORDS = `
skip|Skip to content|跳到内容
overview|Overview|总览
rollouts|Rollouts|灰度发布
events|Events|事件
requests|Requests|请求
explain|Explain|路由解释
connections|Connections|连接
language|中文|English
token|Token|令牌
tokenTitle|Token of the admin API|管理接口令牌
tokenHelp|It stays in this tab until the tab is closed.|令牌只保存在本标签页中，关闭后即清除。
tokenNeeded|The proxy asks for its token.|代理要求提供令牌。
use|Use|使用
forget|Forget|清除
cancel|Cancel|取消
now|now|现在
ago|{0} s ago|{0} 秒前
linkLost|No connection to the proxy; what is shown is old. Trying again.|与代理的连接已断开，显示的是旧数据，正在重试。
starting|Measuring for a second …|正在采样……
running|running|运行中
degraded|degraded|降级
draining|draining|排空中
notReady|not ready|未就绪
perSecond|requests per second|每秒请求数
perSecondShort|req/s|请求/秒
failedPerSecond|failed per second|每秒失败数
failed|failed|失败
refused|refused (4xx)|拒绝 (4xx)
p50|p50|p50
p90|p90|p90
p99|p99|p99
median|median latency|延迟中位数
worst|99 % within|99% 低于
inFlight|in flight|处理中
connectionsOpen|connections|连接数
traffic|Traffic|流量
latency|Latency|延迟
show|Show|显示
allRoutes|all routes|全部路由
route|Route|路由
routeOf|route {0}|路由 {0}
poolOf|pool {0}|上游池 {0}
poolVersion|pool {0}, version {1}|上游池 {0}，版本 {1}
noRoute|(no route)|（无匹配路由）
routes|Routes|路由
pools|Pools|上游池
pool|Pool|上游池
version|Version|版本
endpoint|Endpoint|端点
state|State|状态
weight|Weight|权重
share|Share|占比
ejections|Ejections|剔除次数
cause|Cause|原因
trend|Last minutes|最近几分钟
action|Action|操作
drain|Drain|排空
enable|Enable|启用
drainOf|Drain {0}|排空 {0}
enableOf|Enable {0}|启用 {0}
sureDrain|Drain {0}? It finishes its requests and gets no new ones.|确定排空 {0}？它会完成现有请求，不再接收新请求。
sureEnable|Enable {0}? It gets requests again.|确定启用 {0}？它将重新接收请求。
done|Done: {0}|已完成：{0}
notDone|Not done: {0}|未执行：{0}
panic|health ignored: too few endpoints are healthy|健康的端点过少，已忽略健康状态
breaker|breaker|熔断器
closed|closed|关闭
open|open|打开
half_open|half-open|半开
source|from {0}: {1} endpoints|来源 {0}：{1} 个端点
sourceFails|since {0} the last good list is kept: {1}|自 {0} 起沿用上次有效列表：{1}
sourceHeld|{0} endpoints stay that are suddenly not listed|{0} 个端点突然不在列表中，仍予保留
sourceAbsent|{0} not listed any more, used until the check fails|{0} 个已不在列表中，检查失败前继续使用
sourceSkipped|{0} entries cannot be used: {1}|{0} 条记录不可用：{1}
healthy|healthy|健康
pending|pending|待检查
unhealthy|unhealthy|不健康
ejected|ejected|已剔除
probation|probation|观察期
ejected_by_operator|ejected by operator|人工剔除
down|down|下线
for|for {0} s|{0} 秒
slowStart|slow start, {0} s left|慢启动，剩余 {0} 秒
none|none|无
leftOut|{0} more are not shown|另有 {0} 项未显示
uptime|up {0}|已运行 {0}
generation|configuration generation {0}|配置代数 {0}
process|process {0}|进程 {0}
certificateSoon|certificate {0} of {1} expires in {2} days|{1} 的证书 {0} 将在 {2} 天后到期
certificateOver|certificate {0} of {1} has expired|{1} 的证书 {0} 已过期
panicIn|pool {0}: too few endpoints are healthy, health is ignored|上游池 {0}：健康的端点过少，已忽略健康状态
breakerIn|pool {0}: the breaker is {1}: {2}|上游池 {0}：熔断器{1}：{2}
waitingIn|rollout {0} waits for you: {1}|灰度发布 {0} 等待处理：{1}
rolledBackIn|rollout {0} was rolled back: {1}|灰度发布 {0} 已回滚：{1}
noneHealthy|pool {0}: no endpoint can serve|上游池 {0}：没有可用端点
`;

const words = { en: {}, zh: {} };
for (const line of WORDS.trim().split("\n")) {
  const [key, en, zh] = line.split("|");
  words.en[key] = en;
  words.zh[key] = zh;
}

const wished = sessionStorage.getItem(KEY) || (navigator.languages || [navigator.language])
  .map((it) => it.toLowerCase().slice(0, 2)).find((it) => it in words);

/** The language in use: `en` or `zh`. */
export const language = wished in words ? wished : "en";

/** Switches to the other language. */
export function switchLanguage() {
  sessionStorage.setItem(KEY, language === "en" ? "zh" : "en");
  location.reload();
}

/** The words of a key, with its parameters. */
export function t(key, ...values) {
  const text = words[language][key];
  return text === undefined ? key : text.replace(/\{(\d)\}/g, (_, at) => values[at]);
}

/** A word of the proxy in the reader's language, if it is known. */
export const word = (text) => words[language][text] || text.replaceAll("_", " ");

const tag = language === "zh" ? "zh-CN" : "en";
const formats = [0, 1, 2].map((digits) => new Intl.NumberFormat(tag, { maximumFractionDigits: digits }));

/** A number with as many digits as a reader needs. */
export function number(value) {
  const size = Math.abs(value);
  return formats[size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2].format(value);
}

/** Milliseconds. */
export const ms = (value) => (value === null || value === undefined ? "–" : `${number(value)} ms`);

/** A share, as percent. */
export const percent = (value) => `${number(value * 100)} %`;

/** A duration in the two largest units. */
export function duration(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  let rest = Math.floor(seconds);
  return units.slice(first, first + 2).map(([size, name]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count ? `${count} ${name}` : "";
  }).filter(Boolean).join(" ");
}

/** Time of day. */
export const clock = (time) => new Intl.DateTimeFormat(tag, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }).format(new Date(time));

/** Date and time of day. */
export const moment = (time) => new Intl.DateTimeFormat(tag, { dateStyle: "medium", timeStyle: "medium", hour12: false }).format(new Date(time));
