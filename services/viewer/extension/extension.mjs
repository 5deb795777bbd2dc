// What is added to stock OHIF at run time: settings, training runs, messages.
import { continueFrames } from './continued_frames.mjs';
import { CHOSEN, CONFIGURATION_API } from './data_source.mjs';
import { dom, link, page } from './element.mjs';
import { failureHandler } from './failures.mjs';
import { runsPage, runsPath } from './runs_page.mjs';
import { settingsPage } from './settings_page.mjs';
import { SourceDialog } from './source_dialog.mjs';

const MENU_ITEM = {
  id: 'isocenterTrainingRuns',
  label: 'Training runs',
  iconName: 'ListView',
  commands: 'isocenterShowTrainingRuns',
};

/** The OHIF extension of a platform. */
export function extension(platform) {
  return {
    id: 'isocenter',
    preRegistration({ servicesManager, appConfig }) {
      const { uiNotificationService } = servicesManager.services;
      document.head.append(dom('link', { rel: 'stylesheet', href: '/isocenter/pages.css' }));
      continueFrames(platform);
      appConfig.httpErrorHandler = failureHandler(message => uiNotificationService.show(message));
    },
    getCommandsModule({ commandsManager, extensionManager }) {
      return {
        defaultContext: 'DEFAULT',
        definitions: {
          isocenterShowTrainingRuns: ({ StudyInstanceUID }) => {
            const source = extensionManager.activeDataSourceName;
            commandsManager.run('navigateHistory', {
              to: runsPath([StudyInstanceUID], source === CHOSEN ? '' : source),
            });
          },
        },
      };
    },
    getCustomizationModule({ servicesManager, extensionManager, commandsManager }) {
      const { services } = servicesManager;
      const go = to => commandsManager.run('navigateHistory', { to });
      const routes = [
        ['/settings', settingsPage],
        ['/runs', runsPage],
      ];
      // OHIF draws a page once before it finds that nobody is logged in.
      const afterLogin = fill => node => {
        if (platform.oidc && !services.userAuthenticationService.getUser()) {
          node.append(dom('main', {}, dom('p', { role: 'status' }, 'Logging in …')));
        } else {
          fill(node);
        }
      };
      const source = () => new URLSearchParams(location.search).get('datasources');
      const column = {
        id: 'trainingRuns',
        header: () => 'Training',
        cell: ({ row }) => {
          const study = row.original.studyInstanceUid;
          return study ? link('Runs', runsPath([study], source()), go) : null;
        },
        enableSorting: false,
        // The first to go where the list is narrow.
        meta: { label: 'Training', minWidth: 80, priority: 1 },
      };
      return [
        {
          name: 'global',
          value: {
            'routes.customRoutes': {
              routes: {
                $push: routes.map(([path, fill]) => ({
                  path,
                  children: page(afterLogin(fill(platform, services, go))),
                  private: true,
                })),
              },
            },
            'workList.settingsMenuItems': {
              $set: items => [
                { id: 'isocenterSettings', label: 'Settings', onClick: () => go('/settings') },
                ...items,
              ],
            },
            'workList.columns': { $push: [column] },
            'studyBrowser.studyMenuItems': { $push: [MENU_ITEM] },
            [CONFIGURATION_API]: {
              $set: name => new SourceDialog(platform, services, extensionManager, name),
            },
          },
        },
      ];
    },
  };
}
