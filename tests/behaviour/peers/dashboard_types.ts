// The types of a dashboard as Grafana publishes them; the file under test follows this line.
import type { AnnotationQuery, Dashboard, DataQuery, Panel, RowPanel } from '@grafana/schema';
import type { FieldConfig, Options } from './node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

// JSON has the values of enumerations as texts and numbers.
type Written<T> = T extends string ? `${T}`
    : T extends number | boolean | null | undefined ? T
    : T extends (infer I)[] ? Written<I>[]
    : T extends object ? { [K in keyof T]: Written<T[K]> }
    : T;
type Query = DataQuery & { expr: string; legendFormat?: string; exemplar?: boolean; format?: 'heatmap' | 'table' };
type TimeSeries = Omit<Panel, 'type' | 'options' | 'targets' | 'fieldConfig'> & {
    type: 'timeseries';
    options: Options;
    targets: Query[];
    fieldConfig: {
        defaults: Omit<NonNullable<Panel['fieldConfig']>['defaults'], 'custom'> & { custom?: FieldConfig };
        overrides: NonNullable<Panel['fieldConfig']>['overrides'];
    };
};
type Annotations = { list: (AnnotationQuery & { expr?: string; titleFormat?: string; textFormat?: string })[] };
type Ours = Omit<Dashboard, 'panels' | 'annotations'> & { panels: (TimeSeries | RowPanel)[]; annotations: Annotations };
export const dashboard: Written<Ours> =
