// Charts: <div class="o-chart" data-chart="id-of-json"></div>, the JSON (json_script) is {kind, labels, series:[{name, data, kind?, dashed?}], unit}.
// ECharts takes hex colours only; the two themes keep the same slots, and a change of the `dark` class draws anew.
(() => {
  const light = { ink: "#101828", muted: "#6a7282", line: "#e5e7eb", colors: ["#006058", "#c38824", "#5d1ea9", "#159aed", "#f25798", "#681406"] };
  const dark = { ink: "#f3f4f6", muted: "#99a1af", line: "#28344a", colors: ["#12e0d8", "#eca005", "#985ef8", "#60a5dd", "#f75477", "#9f4f24"] };
  const short = (value) => {
    const zh = document.documentElement.lang.startsWith("zh");
    if (zh && Math.abs(value) >= 1e8) return `${+(value / 1e8).toFixed(2)} 亿`;
    if (zh && Math.abs(value) >= 1e4) return `${+(value / 1e4).toFixed(1)} 万`;
    if (!zh && Math.abs(value) >= 1e6) return `${+(value / 1e6).toFixed(1)}M`;
    if (!zh && Math.abs(value) >= 1e3) return `${+(value / 1e3).toFixed(1)}K`;
    return String(value);
  };
  const option = (spec, t) => {
    const sideways = spec.kind === "bars";
    const category = { type: "category", data: spec.labels, axisLine: { lineStyle: { color: t.line } }, axisTick: { show: false }, axisLabel: { color: t.muted }, inverse: sideways, boundaryGap: sideways || spec.series.some((s) => s.kind === "bar") };
    const value = { type: "value", min: 0, axisLabel: { color: t.muted, formatter: short }, splitLine: { lineStyle: { color: t.line } }, minInterval: 1 };
    return {
      backgroundColor: "transparent", color: t.colors, animationDuration: 150, aria: { enabled: true },
      textStyle: { fontFamily: "Inter, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif", color: t.ink },
      grid: { left: 8, right: 16, top: spec.series.length > 1 ? 34 : 12, bottom: 4, containLabel: true },
      legend: spec.series.length > 1 ? { top: 0, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 8, textStyle: { color: t.muted } } : { show: false },
      tooltip: { trigger: "axis", backgroundColor: t === dark ? "#1c2638" : "#fff", borderColor: t.line, textStyle: { color: t.ink, fontSize: 12 }, valueFormatter: (v) => `${Number(v).toLocaleString()}${spec.unit ? ` ${spec.unit}` : ""}` },
      xAxis: sideways ? value : category, yAxis: sideways ? category : value,
      series: spec.series.map((s, i) => ({
        name: s.name, data: s.data, type: s.kind || (sideways ? "bar" : "line"), symbol: "circle", symbolSize: 5, showSymbol: spec.labels.length < 12, barMaxWidth: 22, stack: s.stack,
        lineStyle: { width: 2, type: s.dashed ? "dashed" : "solid" }, areaStyle: i === 0 && !s.kind && !sideways ? { opacity: 0.08 } : undefined, itemStyle: { borderRadius: s.kind === "bar" || sideways ? 3 : 0 },
      })),
    };
  };
  const draw = (root) => root.querySelectorAll("[data-chart]").forEach((box) => {
    const source = document.getElementById(box.dataset.chart);
    if (!source || !window.echarts) return;
    window.echarts.getInstanceByDom(box)?.dispose();
    const chart = window.echarts.init(box, null, { renderer: "canvas" });
    chart.setOption(option(JSON.parse(source.textContent), document.documentElement.classList.contains("dark") ? dark : light));
    box.dataset.drawn = "1";
  });
  document.addEventListener("DOMContentLoaded", () => {
    draw(document);
    new MutationObserver(() => draw(document)).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    new ResizeObserver(() => document.querySelectorAll("[data-chart]").forEach((box) => window.echarts?.getInstanceByDom(box)?.resize())).observe(document.body);
  });
  document.addEventListener("htmx:beforeSwap", (event) => event.target.querySelectorAll?.("[data-chart]").forEach((box) => window.echarts?.getInstanceByDom(box)?.dispose()));
  document.addEventListener("htmx:afterSwap", (event) => draw(event.target));
})();
