/*
 * schema.ts: what a dashboard of ours is in the types of Grafana's published package
 * @grafana/schema: the dashboard, and for each panel its own options and field
 * configuration.  validate.mjs makes a JSON schema of it, which allows nothing else.
 */

import type * as grafana from '@grafana/schema';
import type * as TimeSeries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as Table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as Stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as BarChart from '@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen';

/* A query of the PostgreSQL data source, of which the package has no types. */
interface Target {
  refId: string;
  datasource: grafana.DataSourceRef;
  format: 'time_series' | 'table';
  rawQuery: true;
  editorMode: 'code';
  rawSql: string;
}

interface Panel<Type extends string, Options, Custom>
  extends Omit<grafana.Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Type;
  options: Options;
  fieldConfig: {
    defaults: Omit<grafana.FieldConfig, 'custom'> & { custom?: Partial<Custom> };
    overrides: grafana.FieldConfigSource['overrides'];
  };
  targets: Target[];
}

export type TimeSeriesPanel = Panel<'timeseries', TimeSeries.Options, TimeSeries.FieldConfig>;
export type TablePanel = Panel<'table', Partial<Table.Options>, Table.FieldConfig>;
export type StatPanel = Panel<'stat', Stat.Options, Record<string, never>>;
export type BarChartPanel = Panel<'barchart', BarChart.Options, BarChart.FieldConfig>;

/* Without its panels. */
export interface Dashboard extends Omit<grafana.Dashboard, 'panels' | 'annotations'> {
  uid: string;
  title: string;
  annotations: { list: Array<Omit<grafana.AnnotationQuery, 'target'> & { target: Target }> };
}
