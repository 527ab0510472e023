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
failing|requests fail|请求失败
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
p99Step|p99 since the step began|本步骤以来的 p99
median|median latency|延迟中位数
worst|99 % within|99% 低于
inFlight|in flight|处理中
connectionsOpen|connections|连接数
traffic|Traffic|流量
well|well|正常
refusing|answers 4xx|应答 4xx
slow|slow|缓慢
expires_soon|expires soon|即将到期
not_stapled|not stapled|未装订
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
sourceTrouble|since {0} the list is used, but: {1}|自 {0} 起列表仍在使用，但：{1}
sourceHeld|{0} endpoints stay until {1} that are suddenly not listed or marked as down|{0} 个端点突然不在列表中或被标记下线，保留至 {1}
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
certificateSoon|{1}: certificate {0} expires in {2}, at {3}|{1}：证书 {0} 将在 {2} 后（{3}）到期
certificateOver|{1}: certificate {0} expired {2} ago, at {3}; most peers refuse it|{1}：证书 {0} 已过期 {2}（{3}），多数对端会拒绝
panicIn|pool {0}: too few endpoints are healthy, health is ignored|上游池 {0}：健康的端点过少，已忽略健康状态
breakerIn|pool {0}: the breaker is {1}: {2}|上游池 {0}：熔断器{1}：{2}
shrunkIn|pool {0}: {1} of {2} endpoints are out, first {3}|上游池 {0}：{2} 个端点中有 {1} 个不可用，首个为 {3}
frozenIn|rollout {0} is frozen: {1}|灰度发布 {0} 已冻结：{1}
awayIn|rollout {0} does not go on with the fleet: {1}|灰度发布 {0} 未与集群同步：{1}
waitingIn|rollout {0} waits for you: {1}|灰度发布 {0} 等待处理：{1}
rolledBackIn|rollout {0} was rolled back: {1}|灰度发布 {0} 已回滚：{1}
pause|Pause|暂停
resume|Resume|继续
promote|Promote|推进
abort|Abort|中止
sure_pause|Pause rollout {0}? It stays at its step; a worse version is still rolled back.|确定暂停灰度发布 {0}？它将停在当前步骤；若新版本更差仍会回滚。
sure_resume|Resume rollout {0}? After a rollback it starts again.|确定继续灰度发布 {0}？回滚之后将重新开始。
sure_promote|Promote rollout {0}? The present step ends now.|确定推进灰度发布 {0}？当前步骤将立即结束。
sure_abort|Abort rollout {0}? All users get the old version now.|确定中止灰度发布 {0}？所有用户将立即回到旧版本。
rolloutOf|Rollout {0} of pool {1}|灰度发布 {0}（上游池 {1}）
noRollouts|No rollout is configured.|未配置灰度发布。
allUsers|all users|全部用户
holds|hold {0}|保持 {0}
lasted|{0} of {1}|{0} / {1}
evidence|Evidence against the new version|对新版本不利的证据
ofRollback|{0} of what rolls it back|达到回滚阈值的 {0}
fleetLed|Fleet: led by {0}, {1} proxies report.|集群：由 {0} 领导，{1} 个代理上报。
fleetAway|The store does not answer: {0}|存储无响应：{0}
paused|paused|已暂停
holding|holding|保持中
waiting|waiting|等待中
promoted|promoted|已全量
rolling_back|rolling back|回滚中
rolled_back|rolled back|已回滚
frozen|frozen|已冻结
baseline|old|旧版本
candidate|new|新版本
stepRequests|requests (step)|请求数（本步）
stepFailures|failed (step)|失败数（本步）
allRequests|requests (all)|请求数（全程）
allFailures|failed (all)|失败数（全程）
usersHurt|users hurt|受影响用户
history|What happened|经过
allKinds|all kinds|全部类型
noEvents|Nothing happened yet.|暂无事件。
details|Details|详情
added|added|新增
removed|removed|移除
changed|changed|变更
reload|reload|重载
health|health|健康
admin|admin|管理
rollout|rollout|灰度发布
discovery|discovery|服务发现
outage|outage|辅助功能故障
started|started|启动
certificates|Certificates|证书
nextOrder|Next order (ACME)|下次申请（ACME）
acme|certificate of a CA|CA 证书
certificate_expiry|certificate expiry|证书到期
succeeded|succeeded|成功
unchanged|unchanged|无变化
request|Request|请求
status|Status|状态码
reason|Reason|原因
time|Time|时间
took|Took|耗时
tries|Attempts|尝试次数
attempts|Attempts|尝试
outcome|Outcome|结果
waited|Waited before|之前等待
note|Note|备注
hedge|hedge: the attempt before was slow|对冲：前一次尝试过慢
subrequest|subrequest of a filter|过滤器的子请求
requestId|Request id|请求 ID
client|Client|客户端
listener|Listener|监听器
versionAsked|Version asked for|请求的版本
user|User|用户
cache|Cache|缓存
response_sent|a part of the answer had gone to the client|部分应答已发给客户端
pushed_back|the endpoint asked for no other attempt|端点要求不再尝试
not_upstream|the endpoint was not to blame|并非端点的问题
not_listed|retry.on does not list this outcome|retry.on 未列出此结果
not_repeatable|the request may have had an effect: its method is not idempotent|请求可能已生效：其方法不幂等
body_spent|the body was longer than retry.body_max and could not be sent again|请求体超过 retry.body_max，无法重发
caller_retries|the proxy in front of this one repeats the request already|前面的代理已在重试该请求
attempts_used|retry.attempts were made|已达到 retry.attempts 次数
time_over|no time was left of timeouts.total|timeouts.total 已用完
budget_used|the pool's retry_budget was used up|上游池的 retry_budget 已用完
breaker_open|the breaker of the pool is open|上游池的熔断器已打开
notRetried|Not tried again|未再重试
generationWord|Generation|代数
headers|Headers|请求头
whyToo|In a terminal:|在终端中：
close|Close|关闭
find|Find|查找
findHelp|path, status, route, endpoint …|路径、状态码、路由、端点……
onlyFailed|failed only|仅失败
hold|hold still|暂停刷新
showIt|Show|查看
requestsKept|{0} shown. All failures are kept, and a sample of the others.|显示 {0} 条。保留全部失败请求及部分其他请求。
noRequests|No request fits.|没有符合的请求。
method|Method|方法
url|URL or path|URL 或路径
headersHelp|Headers, one per line|请求头，每行一个
sourceAddress|Address of the client|客户端地址
explainIt|Explain|解释
candidates|Endpoints that could serve it|可用端点
mayServe|May serve|可提供服务
yes|yes|是
toPool|It goes to pool {0}.|发往上游池 {0}。
toRedirect|It is redirected with {0}.|以 {0} 重定向。
toRespond|It is answered with {0}.|以 {0} 直接应答。
toRollout|It goes to version {1}, by rollout {0} (by {2}).|按灰度发布 {0} 发往版本 {1}（依据 {2}）。
toSplit|It goes to pool {0}, by the split (by {1}).|按分流发往上游池 {0}（依据 {1}）。
byChance|(chosen by chance)|（随机选择）
refusedBy|It is refused with 400: {0}|以 400 拒绝：{0}
noRouteTakes|No route takes it on listener {0}: 404.|监听器 {0} 上没有匹配的路由：404。
wins|wins|胜出
outranked|outranked|优先级较低
no_match|no match|不匹配
timeouts|Timeouts: total, attempt, idle|超时：总计、单次、空闲
filters|Filters|过滤器
limits|Rate limits|限流
protocol|Protocol|协议
age|Age|已连接
closing|closes after its exchange|完成后关闭
subject|Client certificate|客户端证书
drains|What drains|排空情况
what|What|对象
left|Left|剩余
wholeProxy|the whole proxy|整个代理
connectionsLeft|{0} connections|{0} 个连接
inFlightLeft|{0} in flight|{0} 个处理中
certificate|Certificate|证书
of|Of|所属
names|Names|名称
expires|Expires|到期时间
days|d|天
hours|h|小时
minutes|min|分
seconds|s|秒
expired|expired|已过期
expiredFor|expired {0} ago|已过期 {0}
expiresIn|in {0}|{0} 后
dueIn|next due in {0}|下一份应在 {0} 后
overdueFor|next overdue for {0}|下一份已逾期 {0}
revocationList|revocation list of {0}|{0} 的吊销列表
revocationListNumber|revocation list {1} of {0}|{0} 的吊销列表，编号 {1}
sources|Sources of endpoints|端点来源
from|From|来源
endpoints|Endpoints|端点数
lastChange|Changed|变更时间
never|never|从未
restored|kept on disk since {0}: the source was not reached yet|使用磁盘上 {0} 的列表，尚未连上来源
fine|fine|正常
no_drains|Nothing drains.|没有正在排空的对象。
no_clients|No connection is open.|没有打开的连接。
no_certificates|No listener or pool has a certificate.|没有监听器或上游池使用证书。
no_sources|No pool has a source of endpoints besides the file.|没有上游池使用配置文件以外的端点来源。
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
  const units = [[86400, t("days")], [3600, t("hours")], [60, t("minutes")], [1, t("seconds")]];
  const first = units.findIndex(([size]) => seconds >= size);
  if (seconds < 10) return `${number(seconds)} ${t("seconds")}`;
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
